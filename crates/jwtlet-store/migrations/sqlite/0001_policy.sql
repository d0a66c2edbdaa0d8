-- Times are microseconds since 1970. Lists and claims are JSON.

CREATE TABLE resource_mappings (
    client_identifier   TEXT    NOT NULL,
    participant_context TEXT    NOT NULL,
    scopes              TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(scopes) AND json_type(scopes) = 'array'),
    audiences           TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(audiences) AND json_type(audiences) = 'array'),
    expires_at          INTEGER,
    description         TEXT,
    created_at          INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    updated_at          INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    version             INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (client_identifier, participant_context)
) STRICT;

CREATE INDEX resource_mappings_by_context ON resource_mappings (participant_context, client_identifier);

CREATE TABLE scope_mappings (
    scope      TEXT    NOT NULL PRIMARY KEY,
    claims     TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(claims) AND json_type(claims) = 'object'),
    created_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)),
    version    INTEGER NOT NULL DEFAULT 1
) STRICT;

-- An UPDATE by hand makes another state of the record, so it gets another revision (If-Match relies on it).
CREATE TRIGGER resource_mappings_revision AFTER UPDATE ON resource_mappings
WHEN new.version = old.version
BEGIN
    UPDATE resource_mappings
    SET version = old.version + 1,
        updated_at = CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    WHERE client_identifier = new.client_identifier AND participant_context = new.participant_context;
END;

CREATE TRIGGER scope_mappings_revision AFTER UPDATE ON scope_mappings
WHEN new.version = old.version
BEGIN
    UPDATE scope_mappings
    SET version = old.version + 1,
        updated_at = CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
    WHERE scope = new.scope;
END;

-- The trail: record is the JSON that hash covers; the other columns repeat what filters look at.
CREATE TABLE audit_log (
    sequence            INTEGER PRIMARY KEY CHECK (sequence > 0),
    record              TEXT    NOT NULL,
    hash                TEXT    NOT NULL,
    time                INTEGER NOT NULL,
    actor               TEXT    NOT NULL,
    request_id          TEXT    NOT NULL,
    action              TEXT    NOT NULL,
    outcome             TEXT    NOT NULL,
    client_identifier   TEXT,
    participant_context TEXT,
    scope               TEXT
) STRICT;

CREATE INDEX audit_log_by_time ON audit_log (time);
CREATE INDEX audit_log_by_actor ON audit_log (actor, sequence);
CREATE INDEX audit_log_by_request ON audit_log (request_id, sequence);
CREATE INDEX audit_log_by_client ON audit_log (client_identifier, sequence) WHERE client_identifier IS NOT NULL;
CREATE INDEX audit_log_by_context ON audit_log (participant_context, sequence) WHERE participant_context IS NOT NULL;
CREATE INDEX audit_log_by_scope ON audit_log (scope, sequence) WHERE scope IS NOT NULL;

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;

CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;

-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE sequence = new.sequence)
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;

-- Where the trail ends.
CREATE TABLE audit_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash     TEXT    NOT NULL
) STRICT;

INSERT INTO audit_head (id, sequence, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
