-- Domains of people's own that lead to their servers. What a name's DNS says decides, not who named it first.

create table domain (
    id text not null constraint domain_pk primary key,
    server_id text not null constraint domain_server references server (id),
    -- In ASCII, as DNS has it.
    name text not null,
    role text not null constraint domain_role check (role in ('primary', 'alias', 'app')),
    -- The app it stands for, where that is its role.
    app text,
    -- `removed` is kept, so that what came with an archive is not taken along again.
    state text not null constraint domain_state
        check (state in ('wanted', 'proving', 'proved', 'failing', 'given_up', 'removed')),
    -- Since when.
    state_ms bigint not null,
    -- What the owner puts into DNS; made anew whenever the name is added.
    challenge text not null,
    -- The key of the server here, which its owner puts into DNS beside it: at the next provider it is proof at once.
    did text,
    -- The key of the server that a move handed over from, whose word in DNS counts as well.
    former_did text,
    -- Where a wish came from: an archive or a move; absent where the owner typed it.
    came text constraint domain_came check (came in ('import', 'move')),
    -- Whether every name below it leads here too.
    wildcard boolean not null default false,
    -- What the last look found wanting.
    trouble text,
    checked_ms bigint,
    next_ms bigint,
    failures bigint not null default 0,
    -- When it was last found proved, and when its owner was told that it is not any more.
    proved_ms bigint,
    told_ms bigint,
    created_ms bigint not null,
    constraint domain_once unique (server_id, name)
);
-- At most one server holds a name.
create unique index domain_held on domain (name) where state in ('proved', 'failing');
create index domain_by_next on domain (next_ms);
create index domain_by_name on domain (name);
