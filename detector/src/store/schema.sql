-- timejump's store, schema version 4 (PRAGMA user_version).
--
-- For people: `sqlite3 -readonly timejump.db 'SELECT * FROM history'`.
-- Times: `boottime_ns` is CLOCK_BOOTTIME since the boot `boot_id`; a wall time is an offset plus a boottime.
-- `position` orders the stream over all tables.

CREATE TABLE jumps (
    sequence        INTEGER PRIMARY KEY,            -- number of the jump on this node, from 1, rising
    position        INTEGER NOT NULL UNIQUE,
    boot_id         TEXT    NOT NULL,
    boottime_ns     INTEGER NOT NULL,
    delta_ns        INTEGER NOT NULL,               -- positive is forward
    delta_error_ns  INTEGER NOT NULL,               -- 0: exact
    old_offset_ns   INTEGER NOT NULL,               -- CLOCK_REALTIME - CLOCK_BOOTTIME before
    new_offset_ns   INTEGER NOT NULL,               -- and after
    path            TEXT    NOT NULL,               -- clock_settime, settimeofday, adjtimex, …
    captured_by     TEXT    NOT NULL,               -- fentry, kprobe, …, reconcile
    actor           TEXT    NOT NULL,               -- JSON object
    verdict         TEXT    NOT NULL,               -- correction, disruption, unknown
    evidence        TEXT    NOT NULL,               -- JSON array: what the verdict rests on
    excursion       INTEGER,                        -- excursions.id that it opens or closes
    burst           INTEGER NOT NULL,               -- sequence of the first jump of its burst
    loud            INTEGER NOT NULL,               -- 1: as large as what is told unasked
    window          TEXT,                           -- JSON object: when it can have happened, if nobody watched
    lived_ns        INTEGER NOT NULL                -- uptime of the machine that this store has seen by then
) STRICT;
CREATE INDEX jumps_by_burst ON jumps (burst) WHERE burst <> sequence; -- most are alone

CREATE TABLE excursions (
    id              INTEGER PRIMARY KEY,
    boot_id         TEXT    NOT NULL,               -- of its beginning
    opened_by       INTEGER NOT NULL,               -- jumps.sequence
    opened_boottime_ns INTEGER NOT NULL,
    home_offset_ns  INTEGER NOT NULL,               -- the wall offset to come back to
    delta_ns        INTEGER NOT NULL,               -- how far away the clock was
    closed_by       INTEGER,                        -- jumps.sequence; NULL: still away
    closed_boottime_ns INTEGER,
    residual_ns     INTEGER,                        -- how far from home it came to rest
    part_of         INTEGER                         -- excursions.id within which it was but a step
) STRICT;

CREATE TABLE impacts (
    id              INTEGER PRIMARY KEY,
    position        INTEGER NOT NULL UNIQUE,        -- of the last time it was told
    jump            INTEGER NOT NULL,               -- jumps.sequence
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,               -- JSON object
    from_wall_ns    INTEGER,
    until_wall_ns   INTEGER,
    confidence      TEXT    NOT NULL,               -- predicted, observed, refuted
    remedy          TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    evidence        TEXT    NOT NULL,               -- JSON object
    boot_id         TEXT    NOT NULL,               -- in which it was found
    from_boottime_ns INTEGER,                       -- the same times since that boot
    until_boottime_ns INTEGER,
    state           TEXT    NOT NULL                -- open, resolved
) STRICT;
CREATE INDEX impacts_by_jump ON impacts (jump);
CREATE INDEX impacts_open ON impacts (id) WHERE state = 'open';

-- Steps that were lost between the kernel and the daemon; the jump after them carries their sum.
CREATE TABLE lost (
    position        INTEGER PRIMARY KEY,
    boot_id         TEXT    NOT NULL,
    boottime_ns     INTEGER NOT NULL,
    missed          INTEGER NOT NULL
) STRICT;

-- One row: what was known last, from which the next start finds what happened meanwhile.
CREATE TABLE continuity (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    boot_id         TEXT    NOT NULL,
    boottime_ns     INTEGER NOT NULL,
    offset_ns       INTEGER NOT NULL,
    offset_error_ns INTEGER NOT NULL,
    lived_ns        INTEGER NOT NULL
) STRICT;

-- How far each delivery has come: what was told up to `position` is where it belongs.
CREATE TABLE deliveries (
    sink            TEXT    PRIMARY KEY,            -- kubernetes_events, otlp, …
    position        INTEGER NOT NULL,
    state           TEXT    NOT NULL                -- JSON: what this delivery has to remember
) STRICT;

-- Remedies that were carried out, or were to be.
CREATE TABLE remedies (
    id              INTEGER PRIMARY KEY,
    position        INTEGER NOT NULL UNIQUE,        -- of the last time it was told
    boot_id         TEXT    NOT NULL,
    boottime_ns     INTEGER NOT NULL,               -- of the same
    wall_ns         INTEGER NOT NULL,
    action          TEXT    NOT NULL,               -- restart_kubelet, evict_pod
    subject         TEXT    NOT NULL,               -- JSON object
    jump            INTEGER NOT NULL,               -- jumps.sequence
    impacts         TEXT    NOT NULL,               -- JSON array of impacts.id
    state           TEXT    NOT NULL,               -- planned, dry_run, waiting, started, succeeded, …
    reason          TEXT,                       -- why it is not done, or did not succeed
    message         TEXT    NOT NULL,
    mode            TEXT    NOT NULL,               -- dry_run, act
    started_boottime_ns INTEGER                    -- when the act began
) STRICT;
CREATE INDEX remedies_by_boot ON remedies (boot_id);

CREATE VIEW history AS
SELECT
    sequence,
    strftime('%Y-%m-%d %H:%M:%S', (old_offset_ns + boottime_ns) / 1000000000, 'unixepoch') AS wall_before,
    strftime('%Y-%m-%d %H:%M:%S', (new_offset_ns + boottime_ns) / 1000000000, 'unixepoch') AS wall_after,
    delta_ns / 1e9 AS delta_s,
    path,
    coalesce(json_extract(actor, '$.comm'), json_extract(actor, '$.function'), json_extract(actor, '$.kind')) AS actor,
    verdict,
    excursion,
    burst
FROM jumps ORDER BY sequence;
