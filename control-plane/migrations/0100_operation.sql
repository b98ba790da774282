-- Work with an end: what it is, which step it is at, and what came of it. Documents of the runtime stay JSON.

create table operation (
    id text not null constraint operation_pk primary key,
    server_id text not null constraint operation_server references server (id),
    kind text not null constraint operation_kind check (kind in ('export', 'import')),
    state text not null constraint operation_state
        check (state in ('running', 'waiting', 'ready', 'done', 'undone', 'failed', 'ended')),
    step text not null,
    sealed boolean not null default false,
    file_name text not null default '',
    bytes bigint,
    received bigint not null default 0,
    done bigint not null default 0,
    total bigint not null default 0,
    result text,
    error text,
    created_ms bigint not null,
    updated_ms bigint not null,
    expires_ms bigint,
    undo_until_ms bigint
);
create index operation_by_server on operation (server_id, created_ms);
create index operation_by_state on operation (state);

-- Every turn an operation took, for whoever must find out later.
create table operation_turn (
    operation_id text not null constraint operation_turn_of references operation (id),
    at_ms bigint not null,
    state text not null,
    step text not null,
    error text
);
create index operation_turn_by_operation on operation_turn (operation_id, at_ms);
