-- SQLite samples nothing; this keeps the versions of both engines in step.
SELECT 1;
