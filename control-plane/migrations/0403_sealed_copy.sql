-- Copies that are sealed. A place may have a passphrase, kept as what opens the place is, so that copies can go there while
-- nobody is present. `sealed_since_ms` says since when a passphrase was the place's: of the present one, and of the one that
-- a copy is sealed with; absent where copies are open.

alter table place add column passphrase text;
alter table place add column sealed_since_ms bigint;
alter table place_file add column sealed_since_ms bigint;
alter table operation add column sealed_since_ms bigint;
