-- Checkpoints of subscriptions, their leases, deadlines, and parked keys.
CREATE TABLE checkpoints (
    subscription text NOT NULL,
    source       text NOT NULL,
    log_epoch    integer NOT NULL,
    position     integer NOT NULL,
    lease_epoch  integer NOT NULL,
    PRIMARY KEY (subscription, source)
) STRICT;

CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    epoch      integer NOT NULL,
    expires_at integer NOT NULL
) STRICT;

CREATE TABLE deadlines (
    manager text NOT NULL,
    key     text NOT NULL,
    due_at  integer NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (manager, key)
) STRICT;
CREATE INDEX deadlines_due ON deadlines (manager, due_at);

CREATE TABLE parked (
    subscription   text NOT NULL,
    key            text NOT NULL,
    state          text NOT NULL CHECK (state IN ('retrying', 'parked')),
    reason         text NOT NULL,
    since_position integer NOT NULL,
    since_time     integer NOT NULL,
    attempts       integer NOT NULL,
    next_try_at    integer NOT NULL,
    PRIMARY KEY (subscription, key)
) STRICT;

CREATE TABLE parked_events (
    subscription text NOT NULL,
    key          text NOT NULL,
    position     integer NOT NULL,
    PRIMARY KEY (subscription, key, position)
) STRICT;
