-- Books that somebody keeps beside the log: what is written down under a key stays as it is.
CREATE TABLE books (
    entry INTEGER PRIMARY KEY,
    book TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    recorded_at INTEGER NOT NULL
        DEFAULT (CAST(round(unixepoch('now', 'subsec') * 1000000) AS INTEGER)),
    UNIQUE (book, key)
) STRICT;
