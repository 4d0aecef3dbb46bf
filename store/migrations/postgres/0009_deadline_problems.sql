-- Why a deadline that was due couldn't be done, and how often it was tried: an operator sees it, and it is tried again.
-- A row counts only as long as the deadline is the one that it was written with.
CREATE TABLE deadline_problems (
    manager text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    due_at bigint NOT NULL,
    problem text NOT NULL,
    attempts bigint NOT NULL,
    PRIMARY KEY (manager, key)
);
