-- Who looks after a record, and labels to find it by: a JSON object. NULL for none. A filter by label reads all records
-- that have labels, in the order of their keys, and no others.
ALTER TABLE resource_mappings ADD COLUMN owner TEXT;
ALTER TABLE resource_mappings ADD COLUMN labels TEXT
    CHECK (labels IS NULL OR (json_valid(labels) AND json_type(labels) = 'object'));
ALTER TABLE scope_mappings ADD COLUMN owner TEXT;
ALTER TABLE scope_mappings ADD COLUMN labels TEXT
    CHECK (labels IS NULL OR (json_valid(labels) AND json_type(labels) = 'object'));

CREATE INDEX resource_mappings_by_owner ON resource_mappings (owner, client_identifier, participant_context)
    WHERE owner IS NOT NULL;
CREATE INDEX resource_mappings_labelled ON resource_mappings (client_identifier, participant_context)
    WHERE labels IS NOT NULL;
CREATE INDEX scope_mappings_by_owner ON scope_mappings (owner, scope) WHERE owner IS NOT NULL;
CREATE INDEX scope_mappings_labelled ON scope_mappings (scope) WHERE labels IS NOT NULL;

-- Which application of a policy a change belongs to.
ALTER TABLE audit_log ADD COLUMN apply_id TEXT;
CREATE INDEX audit_log_by_apply ON audit_log (apply_id, sequence) WHERE apply_id IS NOT NULL;
