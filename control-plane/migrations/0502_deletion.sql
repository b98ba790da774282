-- What was left here of servers that have moved, and that it is gone: counted before the first of it is deleted, signed once
-- nothing is left.

create table deletion (
    server_id text not null constraint deletion_pk primary key constraint deletion_of references server (id),
    move_id text not null constraint deletion_after references move_out (id),
    objects bigint not null,
    bytes bigint not null,
    counted_ms bigint not null,
    -- The receipt as it was signed.
    document text,
    signature text
);
