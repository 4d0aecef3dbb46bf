-- The log. `events` has the shape of postgres-es' table, so that stock programs can read it, and
-- two columns more. Types are those that both engines share: text, bigint, bytes; JSON is opaque.

CREATE TABLE events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_type text COLLATE "C" NOT NULL,
    event_version text COLLATE "C" NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    -- Cache 1, PostgreSQL's default, is a must: a cached range would be used out of order.
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    recorded_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence),
    UNIQUE (position)
);

COMMENT ON COLUMN events.position IS
    'Order of commits. Holes are normal (rolled back appends) and are never filled.';
COMMENT ON COLUMN events.recorded_at IS 'Microseconds since 1970, by the database''s clock.';

-- The order of positions is the order of commits only because a transaction that allocates positions
-- holds this lock until its commit. Once per statement, before the first position is allocated.
CREATE FUNCTION events_take_turns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7450199991725811489);
    RETURN NULL;
END
$$;

CREATE TRIGGER events_take_turns BEFORE INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_take_turns();
-- Also in sessions that replicate (session_replication_role), which skip ordinary triggers.
ALTER TABLE events ENABLE ALWAYS TRIGGER events_take_turns;

-- The outcome of each command, under its id. `refusal` is the code of a refused command.
CREATE TABLE receipts (
    command_id bytea PRIMARY KEY,
    fingerprint bytea NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    first_sequence bigint NOT NULL,
    event_count bigint NOT NULL,
    refusal text COLLATE "C"
);

-- The last number that was allocated of each kind.
CREATE TABLE numbers (
    kind text COLLATE "C" PRIMARY KEY,
    last bigint NOT NULL
);

-- Names of persons; NULL once erased.
CREATE TABLE personal_data (
    person_id bigint PRIMARY KEY,
    name text
);

-- The log's identity. The epoch is raised whenever positions may mean something else than before.
CREATE TABLE identity (
    id bigint PRIMARY KEY CHECK (id = 1),
    log_id bytea NOT NULL,
    epoch bigint NOT NULL
);
INSERT INTO identity (id, log_id, epoch)
    VALUES (1, decode(replace(gen_random_uuid()::text, '-', ''), 'hex'), 1);

-- A client that begins to append and goes silent blocks all others, but not for long. Only the
-- database's owner may set it, and the log works without.
DO $$
BEGIN
    EXECUTE format(
        'ALTER DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '5s'
    );
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'only the owner of the database can set idle_in_transaction_session_timeout';
END
$$;
