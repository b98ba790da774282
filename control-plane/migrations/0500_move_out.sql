-- Moves away from here: a server goes to another provider while it is in use. One row for each consent of an owner; it
-- outlives the server's content, because its old address leads on from this row.

create table move_out (
    -- The UUID that the target gave the move.
    id text not null constraint move_out_pk primary key,
    server_id text not null constraint move_out_of references server (id),
    state text not null constraint move_out_state
        check (state in ('consented', 'copying', 'handed', 'settled', 'cancelled', 'taken-back')),
    -- The target by its origin and as it calls itself, the address here, and who goes on.
    target text not null,
    target_name text not null,
    address text not null,
    successor text not null,
    -- What the target showed when the owner was asked, and digests of the code and then the token it got.
    challenge text not null,
    code_digest text,
    token_digest text,
    -- Until when the code is good, and then the token.
    until_ms bigint not null,
    consented_ms bigint not null,
    -- The hand-over as it was signed, and who may go on for an hour.
    document text,
    signature text,
    guests text,
    forward_until_ms bigint,
    handed_ms bigint,
    settled_ms bigint,
    ended_ms bigint,
    why text
);
create index move_out_by_server on move_out (server_id, consented_ms);
-- A server is on one way at a time.
create unique index move_out_open on move_out (server_id) where state in ('consented', 'copying', 'handed', 'settled');
create index move_out_waiting on move_out (until_ms) where state in ('consented', 'copying');
create index move_out_gone on move_out (server_id) where state in ('handed', 'settled');

-- What a target asked for: moments of the server, each an export of its runtime.
create table move_round (
    move_id text not null constraint move_round_of references move_out (id),
    round bigint not null,
    base bigint,
    held boolean not null,
    asked_ms bigint not null,
    -- Whether the runtime was told; what it does not know afterwards is lost, and not made again under this number.
    begun boolean not null default false,
    released boolean not null default false,
    bytes bigint,
    error text,
    constraint move_round_pk primary key (move_id, round)
);
