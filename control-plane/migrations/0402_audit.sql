-- What happened on an account and its servers, for its owner to read. A row stands in the transaction of what it tells of,
-- and is deleted after two years.

create table audit_event (
    id text not null constraint audit_event_pk primary key,
    account_id text not null constraint audit_event_account references account (id),
    -- Absent where it is about the account as a whole.
    server_id text constraint audit_event_server references server (id),
    at_ms bigint not null,
    what text not null,
    who text not null constraint audit_event_who check (who in ('owner', 'operator', 'provider', 'unknown')),
    outcome text constraint audit_event_outcome check (outcome in ('done', 'refused', 'failed')),
    text text not null,
    -- What it is about: a JSON object.
    about text not null default '{}',
    -- Whether the server itself told of it.
    from_server boolean not null default false,
    -- Names what is told of once, however often it is noticed.
    once_key text constraint audit_event_once unique
);
create index audit_event_by_account on audit_event (account_id, id);
create index audit_event_by_age on audit_event (at_ms);
create index audit_event_from_server on audit_event (server_id, at_ms) where from_server;
