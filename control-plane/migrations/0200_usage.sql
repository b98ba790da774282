-- What servers used. Everything that counts has a row with the last figure seen of it, and every sum changes in the
-- transaction that changes such a row: so the same figure read twice is counted once.

create table usage_source (
    source text not null constraint usage_source_pk primary key,
    server_id text not null constraint usage_source_of references server (id),
    received bigint not null,
    sent bigint not null,
    cpu_us bigint not null,
    awake_ms bigint not null,
    seen_ms bigint not null
);
create index usage_source_by_age on usage_source (seen_ms);

-- Hours are counted from 1970 UTC. Stored bytes are summed up as byte-seconds.
create table usage_hour (
    server_id text not null constraint usage_hour_of references server (id),
    hour bigint not null,
    received bigint not null,
    sent bigint not null,
    cpu_us bigint not null,
    awake_ms bigint not null,
    stored_byte_s bigint not null,
    constraint usage_hour_pk primary key (server_id, hour)
);
create index usage_hour_by_hour on usage_hour (hour);

-- Days, into which old hours are folded.
create table usage_day (
    server_id text not null constraint usage_day_of references server (id),
    day bigint not null,
    received bigint not null,
    sent bigint not null,
    cpu_us bigint not null,
    awake_ms bigint not null,
    stored_byte_s bigint not null,
    constraint usage_day_pk primary key (server_id, day)
);
create index usage_day_by_day on usage_day (day);

-- How much a server keeps, and up to when that has been summed up.
create table usage_stored (
    server_id text not null constraint usage_stored_pk primary key constraint usage_stored_of references server (id),
    bytes bigint not null,
    since_s bigint not null
);
