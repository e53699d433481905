-- The connector configuration that an image was published to, if it was; that may be gone.
ALTER TABLE images ADD COLUMN connector_id TEXT;
