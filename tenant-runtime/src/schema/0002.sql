-- The indexes of collections. What an app declares stands in collection.indexes as well, as its maker wrote it; the
-- others were made because they were missed.

create table document_index (
    id         integer primary key autoincrement,
    collection integer not null references collection (n) on delete cascade,
    definition text not null,
    declared   integer not null,
    constraint document_index_once unique (collection, definition)
) strict;
