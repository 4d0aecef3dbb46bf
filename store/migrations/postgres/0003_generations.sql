-- Which generation of each view is served, and which events operators have dropped.
CREATE TABLE generations (
    view       text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    built_to   bigint NOT NULL,
    built_at   bigint NOT NULL
);
COMMENT ON COLUMN generations.view IS 'Name and version of the view: a new version is a view of its own.';

-- Parked events that will not be tried again by themselves; kept with the reason.
CREATE TABLE dropped (
    subscription text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    position     bigint NOT NULL,
    parked_for   text COLLATE "C" NOT NULL,
    reason       text COLLATE "C" NOT NULL,
    dropped_at   bigint NOT NULL,
    PRIMARY KEY (subscription, key, position)
);
