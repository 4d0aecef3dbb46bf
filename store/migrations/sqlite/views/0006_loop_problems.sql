-- Why a loop is blocked: for operators that look from another process.
CREATE TABLE loop_problems (
    subscription text PRIMARY KEY,
    problem text NOT NULL,
    since integer NOT NULL
) STRICT;
