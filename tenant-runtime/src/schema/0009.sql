-- Code of apps that failed again and again, and is not called until the owner says so or another release comes. It does not
-- travel in an archive: what was stopped here is tried anew elsewhere.
create table handler_stop (
    app     text primary key,
    release integer not null,
    at      integer not null,
    why     text not null
) strict;
