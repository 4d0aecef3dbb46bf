-- The planner's statistics hold samples of a column: of names there are none. Naming its type removes what
-- was sampled before.
ALTER TABLE personal_data ALTER COLUMN name TYPE text;
ALTER TABLE personal_data ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE personal_names ALTER COLUMN name TYPE text;
ALTER TABLE personal_names ALTER COLUMN name SET STATISTICS 0;
