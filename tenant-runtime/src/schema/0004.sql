-- Indexes that are being made, in steps of so many records. `last` is the last record that was there at the beginning, for
-- later ones come by themselves, and `upto` the last of these that is in. One that is whole stands in document_index under the
-- same number.

create table document_index_making (
    id         integer primary key,
    collection integer not null references collection (n) on delete cascade,
    definition text not null,
    declared   integer not null,
    upto       integer not null default 0,
    last       integer not null,
    step       integer not null,
    constraint document_index_making_once unique (collection, definition)
) strict;
