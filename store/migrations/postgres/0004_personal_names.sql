-- Names of persons, each with the stream that it came with: a new one changes no other. A row without a
-- name says that there is none, or none any more. A stream without a row is older than this table: its
-- person's name is in personal_data, which is only read and erased from now on.
CREATE TABLE personal_names (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    person_id bigint,
    name text,
    PRIMARY KEY (aggregate_type, aggregate_id)
);
CREATE INDEX personal_names_person ON personal_names (person_id);
