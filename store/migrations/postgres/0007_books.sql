-- Records that are written once: the value of a key never changes.
CREATE TABLE books (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    book text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    recorded_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    UNIQUE (book, key)
);
