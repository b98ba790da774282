-- Servers that come here from another provider while they are in use (export-format/MOVE.md): one row each. What was
-- agreed on with the other provider stays in the shape of the protocol's messages, which are JSON.

create table move_in (
    id text not null constraint move_in_pk primary key,
    server_id text not null constraint move_in_server references server (id),
    state text not null constraint move_in_state check (state in ('asked', 'running', 'done', 'failed', 'cancelled')),
    step text not null,
    -- Which address is to come, and whom was found there: JSON.
    address text not null,
    found text not null,
    -- The browser session that began it, as a digest; what proves to the other provider that we asked, and the token it
    -- gave for this move, both sealed with a key that is not in the database.
    session text not null,
    verifier text not null,
    token text,
    -- What the other provider answered, without its token: JSON.
    agreed text,
    -- The round that was asked for: its number there and here, the one it is a delta from, whether writes are held for it,
    -- since when it is waited for, and its length and digest once they are known.
    round bigint not null default 0,
    stage_round bigint not null default 0,
    base bigint,
    hold boolean not null default false,
    begun_ms bigint not null default 0,
    bytes bigint,
    payload text,
    -- Rounds since the last hold, holds that were too short, rounds in a row that were of no use, and how often it was begun
    -- again with a whole archive.
    rounds bigint not null default 0,
    holds bigint not null default 0,
    spoiled bigint not null default 0,
    fresh bigint not null default 0,
    -- How far the present step is, how fast it comes (bytes a second), and what came altogether.
    received bigint not null default 0,
    done bigint not null default 0,
    total bigint not null default 0,
    speed bigint not null default 0,
    arrived bigint not null default 0,
    -- When the hold was asked for that counts, what the other provider signed, when the server went live here, and its own
    -- word on that: JSON.
    held_ms bigint,
    handed text,
    activated_ms bigint,
    acceptance text,
    -- What the import reports: JSON.
    report text,
    error text,
    stuck_ms bigint,
    -- Whether something is left to be thrown away here, and to be told to the other provider.
    untidy boolean not null default false,
    created_ms bigint not null,
    updated_ms bigint not null
);
create index move_in_by_server on move_in (server_id, created_ms);
create unique index move_in_open on move_in (server_id) where state in ('asked', 'running');
create index move_in_at_work on move_in (created_ms) where state in ('asked', 'running') or untidy;

-- What a person can read of it; a line that begins a step names it.
create table move_in_line (
    move_id text not null constraint move_in_line_of references move_in (id),
    line bigint not null,
    at_ms bigint not null,
    step text,
    text text not null,
    constraint move_in_line_pk primary key (move_id, line)
);
