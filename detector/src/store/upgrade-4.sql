-- From schema version 3 to 4. Most jumps are alone in their bursts, and need no place in this index.
DROP INDEX jumps_by_burst;
CREATE INDEX jumps_by_burst ON jumps (burst) WHERE burst <> sequence;
