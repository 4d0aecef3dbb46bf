-- Which generation of each view is served, and which events operators have dropped.
CREATE TABLE generations (
    -- Name and version of the view: a new version is a view of its own.
    view       text PRIMARY KEY,
    generation integer NOT NULL,
    built_to   integer NOT NULL,
    built_at   integer NOT NULL
) STRICT;

-- Parked events that will not be tried again by themselves; kept with the reason.
CREATE TABLE dropped (
    subscription text NOT NULL,
    key          text NOT NULL,
    position     integer NOT NULL,
    parked_for   text NOT NULL,
    reason       text NOT NULL,
    dropped_at   integer NOT NULL,
    PRIMARY KEY (subscription, key, position)
) STRICT;
