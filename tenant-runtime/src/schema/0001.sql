-- The first layout of a home. Times are Unix milliseconds; digests are SHA-256 in lower-case hexadecimal.

create table setting (
    name  text primary key,
    value text not null
) strict;

-- Apps. A label is the first part of the app's host name. `release` names the rows of app_release in use.
create table app (
    id        text primary key,
    label     text not null constraint app_label_taken unique,
    release   integer not null,
    installed integer not null,
    removed   integer
) strict;

create table app_release (
    app      text not null references app (id) on delete cascade,
    release  integer not null,
    name     text not null,
    version  text not null,
    manifest text not null,
    added    integer not null,
    primary key (app, release)
) strict;

create table code (
    app     text not null,
    release integer not null,
    path    text not null,
    digest  text not null,
    size    integer not null,
    crc32   integer not null,
    mime    text not null,
    primary key (app, release, path),
    foreign key (app, release) references app_release (app, release) on delete cascade
) strict;

-- Documents. Each collection has a table of its own, named document_<n>.
create table collection (
    n       integer primary key autoincrement,
    app     text not null,
    name    text not null, -- '' is the app's own table
    indexes text not null default '[]',
    constraint collection_known unique (app, name)
) strict;

-- Files. The person's words about a file are the record of the same name in the app's collection `files`.
create table file (
    app      text not null,
    path     text not null,
    digest   text not null,
    size     integer not null,
    crc32    integer not null,
    mime     text not null,
    created  integer not null,
    modified integer not null,
    primary key (app, path)
) strict;

-- Documents of an archive that no part of this server works with: kept as they came, exported again as they came.
create table carried (
    path   text primary key,
    digest text not null,
    size   integer not null,
    crc32  integer not null
) strict;

create table upload (
    id      text primary key,
    app     text not null,
    path    text not null,
    size    integer not null,
    mime    text not null,
    options text not null,
    started integer not null,
    result  text
) strict;

-- Which blobs are in use, and how much they hold together; kept by triggers so that no writer can forget it.
create table blob (
    digest text primary key,
    size   integer not null,
    uses   integer not null
) strict;

create table blob_total (
    one   integer primary key check (one = 1),
    bytes integer not null
) strict;
insert into blob_total values (1, 0);

create trigger blob_first_use after insert on blob begin
    update blob_total set bytes = bytes + new.size;
end;
create trigger blob_last_use after update of uses on blob when new.uses = 0 begin
    delete from blob where digest = new.digest;
    update blob_total set bytes = bytes - old.size;
end;

create trigger file_uses_blob after insert on file begin
    insert into blob values (new.digest, new.size, 1) on conflict (digest) do update set uses = uses + 1;
end;
create trigger file_frees_blob after delete on file begin
    update blob set uses = uses - 1 where digest = old.digest;
end;
create trigger file_changes_blob after update of digest on file when old.digest <> new.digest begin
    insert into blob values (new.digest, new.size, 1) on conflict (digest) do update set uses = uses + 1;
    update blob set uses = uses - 1 where digest = old.digest;
end;
create trigger code_uses_blob after insert on code begin
    insert into blob values (new.digest, new.size, 1) on conflict (digest) do update set uses = uses + 1;
end;
create trigger code_frees_blob after delete on code begin
    update blob set uses = uses - 1 where digest = old.digest;
end;

create trigger carried_uses_blob after insert on carried begin
    insert into blob values (new.digest, new.size, 1) on conflict (digest) do update set uses = uses + 1;
end;
create trigger carried_frees_blob after delete on carried begin
    update blob set uses = uses - 1 where digest = old.digest;
end;

-- What apps asked for and what the owner said.
create table permission (
    app         text not null,
    name        text not null,
    kind        text not null,
    tables      text not null, -- JSON array of table names
    description text not null,
    status      text not null check (status in ('pending', 'granted', 'denied')),
    asked       integer not null,
    decided     integer,
    primary key (app, name)
) strict;

-- Who is signed in. None of this leaves with the archive.
create table secret (
    name  text primary key,
    value blob not null
) strict;

create table session (
    id      text primary key,
    kind    text not null check (kind in ('owner', 'app')),
    app     text,
    device  text not null,
    created integer not null,
    seen    integer not null,
    expires integer not null
) strict;

create table app_password (
    digest  text primary key,
    app     text not null,
    expires integer not null
) strict;

create table burnt_ticket (
    nonce   text primary key,
    expires integer not null
) strict;
