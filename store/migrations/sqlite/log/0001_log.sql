-- The log, in log.db. One writer at a time makes the order of positions the order of commits.

CREATE TABLE events (
    -- AUTOINCREMENT: a position is never used twice, and VACUUM leaves it alone.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    event_type TEXT NOT NULL,
    event_version TEXT NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    -- Microseconds since 1970, by SQLite's clock, which ticks in milliseconds.
    recorded_at INTEGER NOT NULL
        DEFAULT (CAST(round(unixepoch('now', 'subsec') * 1000000) AS INTEGER)),
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

-- The outcome of each command, under its id. `refusal` is the code of a refused command.
CREATE TABLE receipts (
    command_id BLOB NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    refusal TEXT
) STRICT, WITHOUT ROWID;

-- The last number that was allocated of each kind.
CREATE TABLE numbers (
    kind TEXT NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names of persons; NULL once erased.
CREATE TABLE personal_data (
    person_id INTEGER PRIMARY KEY,
    name TEXT
) STRICT;

-- The log's identity. The epoch is raised whenever positions may mean something else than before.
CREATE TABLE identity (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log_id BLOB NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO identity (id, log_id, epoch) VALUES (1, randomblob(16), 1);
