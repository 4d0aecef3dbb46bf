-- Checkpoints of subscriptions, their leases, deadlines, and parked keys.
CREATE TABLE checkpoints (
    subscription text COLLATE "C" NOT NULL,
    source       text COLLATE "C" NOT NULL,
    log_epoch    bigint NOT NULL,
    position     bigint NOT NULL,
    lease_epoch  bigint NOT NULL,
    PRIMARY KEY (subscription, source)
);

CREATE TABLE leases (
    name       text COLLATE "C" PRIMARY KEY,
    holder     text COLLATE "C" NOT NULL,
    epoch      bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE deadlines (
    manager text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    due_at  bigint NOT NULL,
    payload text COLLATE "C" NOT NULL,
    PRIMARY KEY (manager, key)
);
CREATE INDEX deadlines_due ON deadlines (manager, due_at);

CREATE TABLE parked (
    subscription   text COLLATE "C" NOT NULL,
    key            text COLLATE "C" NOT NULL,
    state          text COLLATE "C" NOT NULL CHECK (state IN ('retrying', 'parked')),
    reason         text COLLATE "C" NOT NULL,
    since_position bigint NOT NULL,
    since_time     bigint NOT NULL,
    attempts       bigint NOT NULL,
    next_try_at    bigint NOT NULL,
    PRIMARY KEY (subscription, key)
);

CREATE TABLE parked_events (
    subscription text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    position     bigint NOT NULL,
    PRIMARY KEY (subscription, key, position)
);
