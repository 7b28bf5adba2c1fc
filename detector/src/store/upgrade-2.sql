-- From schema version 1 to 2. Version 1 had no rules that made impacts.
ALTER TABLE impacts ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE impacts ADD COLUMN from_boottime_ns INTEGER;
ALTER TABLE impacts ADD COLUMN until_boottime_ns INTEGER;
ALTER TABLE impacts ADD COLUMN state TEXT NOT NULL DEFAULT 'resolved';
CREATE INDEX impacts_open ON impacts (id) WHERE state = 'open';
