-- Records that are written once: the value of a key never changes.
CREATE TABLE books (
    entry INTEGER PRIMARY KEY,
    book TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    recorded_at INTEGER NOT NULL
        DEFAULT (CAST(round(unixepoch('now', 'subsec') * 1000000) AS INTEGER)),
    UNIQUE (book, key)
) STRICT;
