-- From schema version 2 to 3. Version 2 delivered and remedied nothing.
CREATE TABLE deliveries (
    sink            TEXT    PRIMARY KEY,
    position        INTEGER NOT NULL,
    state           TEXT    NOT NULL
) STRICT;
CREATE TABLE remedies (
    id              INTEGER PRIMARY KEY,
    position        INTEGER NOT NULL UNIQUE,
    boot_id         TEXT    NOT NULL,
    boottime_ns     INTEGER NOT NULL,
    wall_ns         INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    jump            INTEGER NOT NULL,
    impacts         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    reason          TEXT,
    message         TEXT    NOT NULL,
    mode            TEXT    NOT NULL,
    started_boottime_ns INTEGER
) STRICT;
CREATE INDEX remedies_by_boot ON remedies (boot_id);
