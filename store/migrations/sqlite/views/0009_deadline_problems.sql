-- Why a deadline that was due couldn't be done, and how often it was tried: an operator sees it, and it is tried again.
-- A row counts only as long as the deadline is the one that it was written with.
CREATE TABLE deadline_problems (
    manager text NOT NULL,
    key text NOT NULL,
    due_at integer NOT NULL,
    problem text NOT NULL,
    attempts integer NOT NULL,
    PRIMARY KEY (manager, key)
) STRICT;
