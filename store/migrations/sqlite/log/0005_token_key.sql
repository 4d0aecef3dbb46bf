-- The key that the tokens of positions are signed with: it belongs to the log, so that every server of it
-- accepts the tokens of the others.
ALTER TABLE identity ADD COLUMN token_key BLOB;
UPDATE identity SET token_key = randomblob(32);
