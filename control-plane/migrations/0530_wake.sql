-- When servers want to be awake, so that they are woken in time while they sleep. A server that wants nothing has no row.

create table wake (
    server_id text not null constraint wake_pk primary key constraint wake_server references server (id),
    due_ms bigint,
    -- How many notices its owner has not put away.
    notices bigint not null default 0,
    -- Changes whenever the server itself says that it wants to be awake sooner.
    turn bigint not null
);
create index wake_by_due on wake (due_ms) where due_ms is not null;
