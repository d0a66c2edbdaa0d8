-- Apart from the columns, because building an index of many rows takes a while: meanwhile policy is read, and only writers
-- wait. Records of an owner are listed in the order of their keys. The operators on labels are strict, so their conditions
-- imply the predicate of the index.
CREATE INDEX resource_mappings_by_owner
    ON resource_mappings (owner COLLATE "C", client_identifier COLLATE "C", participant_context COLLATE "C")
    WHERE owner IS NOT NULL;
CREATE INDEX resource_mappings_by_label ON resource_mappings USING gin (labels) WHERE labels IS NOT NULL;
CREATE INDEX scope_mappings_by_owner ON scope_mappings (owner COLLATE "C", scope COLLATE "C") WHERE owner IS NOT NULL;
CREATE INDEX scope_mappings_by_label ON scope_mappings USING gin (labels) WHERE labels IS NOT NULL;
CREATE INDEX audit_log_by_apply ON audit_log (apply_id, sequence) WHERE apply_id IS NOT NULL;
