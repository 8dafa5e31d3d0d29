-- Run once at production, by the owner of the tables and a superuser: psql PRODUCTION -f production.sql
-- It needs wal_level = logical (a restart) and PostgreSQL 15, from which on a publication names columns.
--
-- The tables and columns here are those of an example: name yours. A column that is not listed never leaves production.
CREATE PUBLICATION shadow FOR TABLE customers (id, email, plan), orders;

-- While the subscriber is away, production keeps its WAL for it, without a limit unless one is set: a full disk would
-- stop production. Beyond the limit the subscriber is given up and has to be made anew.
ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';
SELECT pg_reload_conf();
