-- What starts by itself: schedules, webhooks, what came of them and is still to be done, and what the owner is to be told.

create table schedule (
    id     text primary key,
    app    text not null,
    name   text not null, -- the app's own name for it
    title  text not null,
    cron   text,          -- one of these two; neither where it happens once, at its start
    rrule  text,
    start  text,          -- on the clock on the wall
    zone   text not null,
    action text not null, -- JSON
    source text not null check (source in ('app', 'manifest')),
    state  text not null check (state in ('on', 'paused', 'held', 'over')), -- held: it came with an archive
    made   integer not null,
    due    integer,       -- null unless it is on
    last   integer,
    constraint schedule_once unique (app, name)
) strict;
create index schedule_by_due on schedule (due) where due is not null;

create table webhook (
    id     text primary key,
    app    text not null,
    name   text not null,
    title  text not null,
    digest text not null, -- of the secret in its address, which is kept nowhere
    header text,          -- in which senders prove that they know the key
    key    text,
    action text not null, -- JSON
    source text not null check (source in ('app', 'manifest')),
    state  text not null check (state in ('on', 'paused', 'held')),
    made   integer not null,
    last   integer,
    constraint webhook_once unique (app, name),
    constraint webhook_secret unique (digest)
) strict;

-- One time at which something is to be done, until it is done, and for a while after that.
create table happening (
    id      text primary key,
    app     text not null,
    kind    text not null,
    origin  text not null, -- the id of the schedule or webhook it came of
    name    text not null,
    title   text not null,
    key     text not null, -- what of its origin it is: the time it was due, the delivery's own name
    due     integer not null,
    action  text not null, -- as it was then
    payload text not null, -- JSON
    state   text not null check (state in ('waiting', 'held', 'done', 'failed')),
    tries   integer not null,
    next    integer,       -- null unless it waits
    why     text,
    made    integer not null,
    ended   integer,
    constraint happening_once unique (origin, key)
) strict;
create index happening_by_next on happening (next) where next is not null;
create index happening_by_end on happening (ended) where ended is not null;

create table notice (
    id    text primary key,
    app   text not null,
    title text not null,
    text  text not null,
    link  text,
    at    integer not null
) strict;
