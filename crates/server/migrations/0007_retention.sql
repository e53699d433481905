-- Retention, a rule of a layer: so many of its newest deployable versions stay (none: there is no rule), and older ones that nothing
-- uses are deleted by the server, or only proposed.
ALTER TABLE layers ADD COLUMN retention_keep BIGINT;
ALTER TABLE layers ADD COLUMN retention_deletes BOOLEAN NOT NULL DEFAULT FALSE;
