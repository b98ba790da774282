-- Between people's servers. Neither travels in an archive: they open one door for a while, and that door stays here.

-- What an app of ours shows another person's server to prove whose it is; good once.
create table validation_token (
    digest     text primary key,
    app        text not null,
    table_id   text not null,
    permission text not null,
    owner      text not null, -- user@host
    expires    integer not null
) strict;

-- People who were let in to what is shared with them.
create table visitor (
    digest     text primary key, -- of the token they show
    person     text not null, -- user@host
    app        text not null, -- the app that shared, by the permission of this name
    permission text not null,
    table_id   text not null,
    expires    integer not null
) strict;
