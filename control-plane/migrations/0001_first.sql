-- Portable between SQLite and PostgreSQL: text ids, bigint milliseconds, boolean, JSON in text.

create table business (
    id text not null constraint business_pk primary key constraint business_one check (id = 'one'),
    name text not null,
    sites_domain text not null,
    currency text not null,
    setup_token_hash text,
    set_up_ms bigint,
    operator_id text,
    last_invoice bigint not null default 0
);

create table account (
    id text not null constraint account_pk primary key,
    email text not null constraint account_email unique,
    display_name text not null,
    password_hash text not null,
    operator boolean not null default false,
    created_ms bigint not null
);

create table session (
    token_hash text not null constraint session_pk primary key,
    account_id text not null constraint session_account references account (id),
    created_ms bigint not null,
    seen_ms bigint not null,
    expires_ms bigint not null
);
create index session_expiry on session (expires_ms);

-- Failed sign-ins, by account and by address.
create table attempt (
    subject text not null constraint attempt_pk primary key,
    count bigint not null,
    since_ms bigint not null
);

create table plan (
    id text not null constraint plan_pk primary key,
    position bigint not null,
    terms text not null,
    offered boolean not null,
    changed_ms bigint not null
);

create table subscription (
    id text not null constraint subscription_pk primary key,
    account_id text not null constraint subscription_account unique references account (id),
    plan_id text not null constraint subscription_plan references plan (id),
    terms text not null,
    anchor_ms bigint not null,
    ends_ms bigint,
    billed bigint
);

create table invoice (
    id text not null constraint invoice_pk primary key,
    subscription_id text not null constraint invoice_subscription references subscription (id),
    number text not null constraint invoice_number unique,
    period bigint not null,
    amount_cents bigint not null,
    currency text not null,
    issued_ms bigint not null,
    due_ms bigint not null,
    state text not null constraint invoice_state check (state in ('open', 'paid', 'void')),
    settled_ms bigint,
    constraint invoice_once unique (subscription_id, period)
);
create index invoice_by_state on invoice (state);

create table host (
    id text not null constraint host_pk primary key,
    name text not null,
    joined_ms bigint not null
);

-- A server's row outlives it, and with the row its name: nobody inherits somebody else's visitors.
create table server (
    id text not null constraint server_pk primary key,
    account_id text not null constraint server_account references account (id),
    subscription_id text not null constraint server_subscription references subscription (id),
    name text not null constraint server_name unique,
    desired text not null constraint server_desired check (desired in ('kept', 'erased')),
    desired_ms bigint not null,
    generation bigint not null default 0,
    host_id text constraint server_host references host (id),
    created_ms bigint not null,
    erased_ms bigint
);
create index server_by_account on server (account_id);

-- What one press of Create made, so that a second press makes nothing more.
create table sign_up (
    request_key text not null constraint sign_up_pk primary key,
    account_id text not null constraint sign_up_account references account (id),
    server_id text not null constraint sign_up_server references server (id),
    created_ms bigint not null
);

create table letter (
    id text not null constraint letter_pk primary key,
    once_key text not null constraint letter_once unique,
    account_id text not null constraint letter_account references account (id),
    recipient text not null,
    subject text not null,
    body_text text not null,
    body_html text not null,
    state text not null constraint letter_state check (state in ('kept', 'waiting', 'sent', 'failed')),
    attempts bigint not null default 0,
    next_ms bigint not null,
    last_error text,
    created_ms bigint not null,
    sent_ms bigint
);
create index letter_waiting on letter (state, next_ms);
