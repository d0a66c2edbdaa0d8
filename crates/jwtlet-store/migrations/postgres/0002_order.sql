-- Lists are sorted byte by byte, whatever the collation of the database. Apart from the columns, because building an index
-- of many rows takes a while: meanwhile policy is read, and only writers wait.
CREATE INDEX resource_mappings_by_key
    ON resource_mappings (client_identifier COLLATE "C", participant_context COLLATE "C");
CREATE INDEX resource_mappings_by_context
    ON resource_mappings (participant_context COLLATE "C", client_identifier COLLATE "C");
CREATE INDEX resource_mappings_by_scope ON resource_mappings USING gin (scopes);
CREATE INDEX scope_mappings_by_scope ON scope_mappings (scope COLLATE "C");
