-- The logs of other services that subscriptions read, as they were when they were first read: a source that turns
-- into another log is noticed.
CREATE TABLE sources (
    name text PRIMARY KEY,
    log_id text NOT NULL,
    log_epoch integer NOT NULL
) STRICT;
