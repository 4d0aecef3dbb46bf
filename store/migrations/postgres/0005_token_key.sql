-- The key that the tokens of positions are signed with: it belongs to the log, so that every server of it
-- accepts the tokens of the others.
ALTER TABLE identity ADD COLUMN token_key bytea;
UPDATE identity SET token_key = decode(
    replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
