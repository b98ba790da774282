-- What happened here that the provider's activity log is to tell of; the newest few hundred.

create table event (
    id    text primary key,
    at    integer not null,
    what  text not null,
    text  text not null,
    about text not null -- a JSON object
) strict;
create index event_by_age on event (at);
