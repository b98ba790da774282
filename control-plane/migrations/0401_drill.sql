-- Exit drills: whether a server's archive can be taken in and given out again, tried on a stand-in that is thrown away.
-- One row for each server, with its turn and what came of the last ones.

create table drill (
    server_id text not null constraint drill_pk primary key constraint drill_of references server (id),
    -- When its turn comes, and since when its owner waits for one out of turn.
    next_ms bigint not null,
    asked_ms bigint,
    -- The stand-in of the drill that is being done; written down before there is anything of it.
    stand_in text,
    -- The last that passed: how much was compared, how long it took, and how many groups of writes the home had seen.
    passed_ms bigint,
    documents bigint not null default 0,
    files bigint not null default 0,
    bytes bigint not null default 0,
    took_ms bigint not null default 0,
    seq bigint,
    -- The last, if it did not pass.
    failed_ms bigint,
    fault text constraint drill_fault check (fault in ('archive', 'provider')),
    why text not null default '',
    -- How many groups of writes the home had seen when the server last fell asleep.
    told_seq bigint
);
create index drill_by_turn on drill (next_ms, server_id);
create index drill_asked on drill (asked_ms) where asked_ms is not null;
create index drill_at_work on drill (server_id) where stand_in is not null;
create index drill_passed on drill (passed_ms) where passed_ms is not null;
create index drill_failed on drill (server_id) where failed_ms is not null;

-- Servers that are there already come in the order they were made.
insert into drill (server_id, next_ms) select id, created_ms + 86400000 from server where erased_ms is null;
