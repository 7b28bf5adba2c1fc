-- From schema version 2 to 3. Version 2 delivered nothing.
CREATE TABLE deliveries (
    sink            TEXT    PRIMARY KEY,
    position        INTEGER NOT NULL,
    state           TEXT    NOT NULL
) STRICT;
