-- Storage that belongs to a person elsewhere, where copies of their server go and come from. What opens it is sealed
-- with a key that is not in the database.

create table place (
    id text not null constraint place_pk primary key,
    server_id text not null constraint place_of references server (id),
    kind text not null constraint place_kind check (kind in ('s3', 'webdav')),
    name text not null,
    address text not null,
    sealed text not null,
    -- When a copy goes there by itself.
    every text not null default 'never' constraint place_every check (every in ('never', 'daily', 'weekly')),
    weekday bigint not null default 1,
    hour bigint not null default 3,
    zone text not null default 'UTC',
    keep bigint not null default 7,
    next_ms bigint,
    -- How the last ones went.
    copied_ms bigint,
    failed_ms bigint,
    failures bigint not null default 0,
    last_error text,
    created_ms bigint not null,
    removed_ms bigint
);
create index place_by_server on place (server_id);
create index place_by_next on place (next_ms);

-- What we wrote there. Nothing else is ever deleted there.
create table place_file (
    place_id text not null constraint place_file_of references place (id),
    name text not null,
    bytes bigint not null,
    written_ms bigint not null,
    scheduled boolean not null,
    deleted_ms bigint,
    constraint place_file_pk primary key (place_id, name)
);

-- An operation that goes to a place or comes from one: which file, and how far an upload in parts has come.
alter table operation add column place_id text;
alter table operation add column place_file text;
alter table operation add column scheduled boolean not null default false;
alter table operation add column upload text;
alter table operation add column stuck_ms bigint;

create table operation_part (
    operation_id text not null constraint operation_part_of references operation (id),
    part bigint not null,
    tag text not null,
    constraint operation_part_pk primary key (operation_id, part)
);
