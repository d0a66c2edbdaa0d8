-- Who looks after a record, and labels to find it by. NULL for none, so that records without any are in no index of them.
ALTER TABLE resource_mappings
    ADD COLUMN owner  TEXT,
    ADD COLUMN labels JSONB;
ALTER TABLE scope_mappings
    ADD COLUMN owner  TEXT,
    ADD COLUMN labels JSONB;

-- Which application of a policy a change belongs to.
ALTER TABLE audit_log ADD COLUMN apply_id TEXT;
