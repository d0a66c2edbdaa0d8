-- The two tables as they have always been: a database that has them keeps them with all their rows.
CREATE TABLE IF NOT EXISTS resource_mappings (
    client_identifier   TEXT   NOT NULL,
    participant_context TEXT   NOT NULL,
    scopes              TEXT[] NOT NULL DEFAULT '{}',
    audiences           TEXT[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (client_identifier, participant_context)
);

CREATE TABLE IF NOT EXISTS scope_mappings (
    scope  TEXT  PRIMARY KEY,
    claims JSONB NOT NULL DEFAULT '{}'
);

ALTER TABLE resource_mappings
    ADD COLUMN IF NOT EXISTS expires_at  TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS description TEXT,
    ADD COLUMN IF NOT EXISTS created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS version     BIGINT      NOT NULL DEFAULT 1;

-- JSONB writes numbers in another way (1e16 becomes 10000000000000000), so claims_json has the claims as they were given.
-- It is NULL for claims that were written by hand.
ALTER TABLE scope_mappings
    ADD COLUMN IF NOT EXISTS claims_json TEXT,
    ADD COLUMN IF NOT EXISTS created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS version     BIGINT      NOT NULL DEFAULT 1;

-- An UPDATE by hand makes another state of the record, so it gets another revision (If-Match relies on it).
CREATE FUNCTION jwtlet_revise_resource_mapping() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version = OLD.version THEN
        NEW.version := OLD.version + 1;
        IF NEW.updated_at = OLD.updated_at THEN
            NEW.updated_at := clock_timestamp();
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION jwtlet_revise_scope_mapping() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.claims <> OLD.claims AND NEW.claims_json IS NOT DISTINCT FROM OLD.claims_json THEN
        NEW.claims_json := NULL;
    END IF;
    IF NEW.version = OLD.version THEN
        NEW.version := OLD.version + 1;
        IF NEW.updated_at = OLD.updated_at THEN
            NEW.updated_at := clock_timestamp();
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER jwtlet_revise BEFORE UPDATE ON resource_mappings
    FOR EACH ROW EXECUTE FUNCTION jwtlet_revise_resource_mapping();
CREATE TRIGGER jwtlet_revise BEFORE UPDATE ON scope_mappings
    FOR EACH ROW EXECUTE FUNCTION jwtlet_revise_scope_mapping();

-- Whatever is changed or removed is told to all replicas, which remember it. What is inserted need not be: that something is
-- absent is never remembered. A payload has less than 8000 bytes, or the change would fail.
CREATE FUNCTION jwtlet_notify_resource_mappings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_count INT;
BEGIN
    SELECT count(*) INTO row_count FROM (SELECT FROM changed LIMIT 101) AS few;
    IF row_count > 100 THEN
        PERFORM pg_notify('jwtlet_policy', '{"all":true}');
    ELSE
        PERFORM pg_notify('jwtlet_policy', CASE WHEN octet_length(payload) < 8000 THEN payload ELSE '{"all":true}' END)
        FROM (
            SELECT json_build_object('client', client_identifier, 'context', participant_context)::text AS payload
            FROM changed
        ) AS notifications;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION jwtlet_notify_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('jwtlet_policy', '{"all":true}');
    RETURN NULL;
END $$;

CREATE TRIGGER jwtlet_notify_update AFTER UPDATE ON resource_mappings
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION jwtlet_notify_resource_mappings();
CREATE TRIGGER jwtlet_notify_delete AFTER DELETE ON resource_mappings
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION jwtlet_notify_resource_mappings();
CREATE TRIGGER jwtlet_notify_truncate AFTER TRUNCATE ON resource_mappings
    FOR EACH STATEMENT EXECUTE FUNCTION jwtlet_notify_all();
CREATE TRIGGER jwtlet_notify AFTER UPDATE OR DELETE OR TRUNCATE ON scope_mappings
    FOR EACH STATEMENT EXECUTE FUNCTION jwtlet_notify_all();

-- The trail: record is the JSON that hash covers; the other columns repeat what filters look at.
CREATE TABLE audit_log (
    sequence            BIGINT      PRIMARY KEY,
    record              TEXT        NOT NULL,
    hash                TEXT        NOT NULL,
    time                TIMESTAMPTZ NOT NULL,
    actor               TEXT        NOT NULL,
    request_id          TEXT        NOT NULL,
    action              TEXT        NOT NULL,
    outcome             TEXT        NOT NULL,
    client_identifier   TEXT,
    participant_context TEXT,
    scope               TEXT
);

CREATE INDEX audit_log_by_time ON audit_log (time);
CREATE INDEX audit_log_by_actor ON audit_log (actor, sequence);
CREATE INDEX audit_log_by_request ON audit_log (request_id, sequence);
CREATE INDEX audit_log_by_client ON audit_log (client_identifier, sequence) WHERE client_identifier IS NOT NULL;
CREATE INDEX audit_log_by_context ON audit_log (participant_context, sequence) WHERE participant_context IS NOT NULL;
CREATE INDEX audit_log_by_scope ON audit_log (scope, sequence) WHERE scope IS NOT NULL;

CREATE FUNCTION jwtlet_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END $$;

-- Also when nothing matches, so that nobody takes it for allowed.
CREATE TRIGGER jwtlet_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION jwtlet_refuse_audit_change();

-- Where the trail ends. Writers of all replicas take turns by locking its row.
CREATE TABLE audit_head (
    id       SMALLINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT   NOT NULL,
    hash     TEXT     NOT NULL
);

INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, repeat('0', 64));
