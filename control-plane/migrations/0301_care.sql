-- What each server last told of the check of its data, and of the tidying up. Counts only: what is affected has names
-- that are the owner's alone.

create table care (
    server_id text not null constraint care_pk primary key constraint care_of references server (id),
    checked_ms bigint,
    objects bigint not null default 0,
    bytes bigint not null default 0,
    damaged bigint not null default 0,
    mended bigint not null default 0,
    swept_ms bigint,
    swept_objects bigint not null default 0,
    swept_bytes bigint not null default 0,
    refused boolean not null default false,
    -- When it told so; 0 before it ever did.
    noted_ms bigint not null default 0,
    -- When it was last woken for a check.
    woken_ms bigint not null default 0
);
create index care_unmended on care (server_id) where damaged > mended;
