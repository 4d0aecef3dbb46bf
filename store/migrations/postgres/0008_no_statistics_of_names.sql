-- The planner's statistics hold samples of a column; names are not sampled. Naming the column's type
-- removes earlier samples.
ALTER TABLE personal_data ALTER COLUMN name TYPE text;
ALTER TABLE personal_data ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE personal_names ALTER COLUMN name TYPE text;
ALTER TABLE personal_names ALTER COLUMN name SET STATISTICS 0;
