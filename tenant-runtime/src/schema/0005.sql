-- How an app is kept up to date: whose it is, what its owner said of updates, which versions did not start. JSON, as
-- `apps::Keeping` has it; empty for what came before anybody asked.

alter table app add column keeping text not null default '{}';
