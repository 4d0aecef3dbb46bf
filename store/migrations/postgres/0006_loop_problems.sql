-- Why a loop is blocked: for operators that look from another process.
CREATE TABLE loop_problems (
    subscription text COLLATE "C" PRIMARY KEY,
    problem text NOT NULL,
    since bigint NOT NULL
);
