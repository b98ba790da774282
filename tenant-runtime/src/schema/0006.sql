-- Who else may see which record, read out of `_accessibles` of the records by triggers on their tables (`sharing::watch`), so
-- that no writer, import or return in time can forget it.

create table share (
    collection integer not null references collection (n) on delete cascade,
    record     text not null, -- its _id
    grantee    text not null,
    app        text not null, -- the app that shared it, by the permission of this name
    permission text not null,
    since      integer not null,
    code       text,
    publicid   text,
    primary key (collection, record, grantee, app, permission)
) strict, without rowid;
create index share_by_grantee on share (grantee, since);
create index share_by_publicid on share (publicid) where publicid is not null;
