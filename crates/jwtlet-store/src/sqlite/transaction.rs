//! A transaction that writes.
//!
//! Records travel as one JSON array for many rows, because each statement is a trip to the thread of the connection.

use jiff::Timestamp;
use jwtlet_core::{
    ClientIdentifier, Scope,
    audit::{ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{MappingFilter, ScopeFilter, Stored},
};
use serde_json::{Value, json};
use sqlx::{Executor, Sqlite, pool::PoolConnection};

use super::lists;
use crate::{
    database::Transaction,
    error::StoreError,
    rows::{AuditColumns, Life, MappingRow, MetadataRow, ScopeRow, read_head, to_sequence},
};

/// So many keys in one statement.
const KEYS: usize = 1_000;
/// So many records in one statement: the largest take a quarter of a megabyte.
const RECORDS: usize = 100;

/// The one connection that writes, between `BEGIN IMMEDIATE` and `COMMIT`. The pool rolls back whatever is left open.
#[derive(Debug)]
pub(crate) struct SqliteTransaction {
    connection: PoolConnection<Sqlite>,
    head: ChainHead,
}

impl SqliteTransaction {
    /// `BEGIN IMMEDIATE` takes the lock of the file at once, so that nobody else writes from here on.
    pub(super) async fn begin(mut connection: PoolConnection<Sqlite>) -> Result<Self, StoreError> {
        connection.execute("BEGIN IMMEDIATE").await?;
        let (sequence, hash): (i64, String) =
            sqlx::query_as("SELECT sequence, hash FROM audit_head").fetch_one(&mut *connection).await?;
        Ok(Self { connection, head: read_head(sequence, &hash) })
    }

    /// Executes a statement with a row for each record, so many of them at a time.
    async fn write<T: Sync>(
        &mut self,
        statement: &'static str,
        records: &[T],
        at_a_time: usize,
        row: impl Fn(&T) -> Result<Value, StoreError> + Send,
    ) -> Result<(), StoreError> {
        for records in records.chunks(at_a_time) {
            let rows = records.iter().map(&row).collect::<Result<Value, _>>()?;
            sqlx::query(statement).bind(rows.to_string()).execute(&mut *self.connection).await?;
        }
        Ok(())
    }
}

impl Transaction for SqliteTransaction {
    fn head(&self) -> ChainHead {
        self.head
    }

    async fn mappings(&mut self, keys: &[MappingKey]) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        const STATEMENT: &str = "SELECT mapping.* FROM json_each($1) AS wanted \
            CROSS JOIN resource_mappings AS mapping ON mapping.client_identifier = wanted.value ->> 0 \
            AND mapping.participant_context = wanted.value ->> 1";
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS) {
            let keys: Vec<_> = keys.iter().map(names).collect();
            let rows: Vec<MappingRow> = sqlx::query_as(STATEMENT)
                .bind(json!(keys).to_string())
                .fetch_all(&mut *self.connection)
                .await?;
            found.extend(rows.into_iter().filter_map(MappingRow::read));
        }
        Ok(found)
    }

    async fn mappings_of(
        &mut self,
        client: &ClientIdentifier,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        const STATEMENT: &str = "SELECT * FROM resource_mappings WHERE client_identifier = $1 \
            ORDER BY participant_context";
        let rows: Vec<MappingRow> =
            sqlx::query_as(STATEMENT).bind(client.as_str()).fetch_all(&mut *self.connection).await?;
        Ok(rows.into_iter().filter_map(MappingRow::read).collect())
    }

    async fn scopes(&mut self, scopes: &[Scope]) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        const STATEMENT: &str = "SELECT mapping.* FROM json_each($1) AS wanted \
            CROSS JOIN scope_mappings AS mapping ON mapping.scope = wanted.value";
        let mut found = Vec::new();
        for scopes in scopes.chunks(KEYS) {
            let rows: Vec<ScopeRow> = sqlx::query_as(STATEMENT)
                .bind(json!(scopes).to_string())
                .fetch_all(&mut *self.connection)
                .await?;
            found.extend(rows.into_iter().filter_map(ScopeRow::read));
        }
        Ok(found)
    }

    async fn matching_mappings(
        &mut self,
        filter: &MappingFilter,
        limit: usize,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        let rows = lists::mappings(&mut *self.connection, filter, None, limit).await?;
        Ok(rows.into_iter().filter_map(MappingRow::read).collect())
    }

    async fn matching_scopes(
        &mut self,
        filter: &ScopeFilter,
        limit: usize,
    ) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        let rows = lists::scopes(&mut *self.connection, filter, None, limit).await?;
        Ok(rows.into_iter().filter_map(ScopeRow::read).collect())
    }

    async fn put_mappings(&mut self, mappings: &[&Stored<ResourceMapping>]) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO resource_mappings (client_identifier, participant_context, scopes, \
            audiences, expires_at, description, owner, labels, created_at, updated_at, version) \
            SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
            value ->> 7, value ->> 8, value ->> 9, value ->> 10 FROM json_each($1) WHERE true \
            ON CONFLICT (client_identifier, participant_context) DO UPDATE SET scopes = excluded.scopes, \
            audiences = excluded.audiences, expires_at = excluded.expires_at, description = excluded.description, \
            owner = excluded.owner, labels = excluded.labels, created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version";
        let row = |stored: &&Stored<ResourceMapping>| {
            let mapping = &stored.record;
            let (client, context) = names(mapping.key());
            let scopes = serde_json::to_string(mapping.scopes())?;
            let audiences = serde_json::to_string(mapping.audiences())?;
            let expires_at = mapping.expires_at().map(Timestamp::as_microsecond);
            let Life { created_at, updated_at, version } = Life::from_stored(stored);
            let description = mapping.description();
            let MetadataRow { owner, labels } = MetadataRow::of(mapping.metadata())?;
            Ok(json!([
                client,
                context,
                scopes,
                audiences,
                expires_at,
                description,
                owner,
                labels,
                created_at,
                updated_at,
                version
            ]))
        };
        self.write(STATEMENT, mappings, RECORDS, row).await
    }

    async fn remove_mappings(&mut self, keys: &[&MappingKey]) -> Result<(), StoreError> {
        const STATEMENT: &str = "DELETE FROM resource_mappings WHERE (client_identifier, participant_context) IN \
            (SELECT value ->> 0, value ->> 1 FROM json_each($1))";
        self.write(STATEMENT, keys, KEYS, |key| Ok(json!(names(key)))).await
    }

    async fn put_scopes(&mut self, scopes: &[&Stored<ScopeMapping>]) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO scope_mappings (scope, claims, owner, labels, created_at, updated_at, \
            version) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 \
            FROM json_each($1) WHERE true ON CONFLICT (scope) DO UPDATE SET claims = excluded.claims, \
            owner = excluded.owner, labels = excluded.labels, created_at = excluded.created_at, \
            updated_at = excluded.updated_at, version = excluded.version";
        let row = |stored: &&Stored<ScopeMapping>| {
            let Life { created_at, updated_at, version } = Life::from_stored(stored);
            let claims = serde_json::to_string(stored.record.claims())?;
            let MetadataRow { owner, labels } = MetadataRow::of(stored.record.metadata())?;
            Ok(json!([stored.record.scope(), claims, owner, labels, created_at, updated_at, version]))
        };
        self.write(STATEMENT, scopes, RECORDS, row).await
    }

    async fn remove_scopes(&mut self, scopes: &[&Scope]) -> Result<(), StoreError> {
        const STATEMENT: &str = "DELETE FROM scope_mappings WHERE scope IN (SELECT value FROM json_each($1))";
        self.write(STATEMENT, scopes, KEYS, |scope| Ok(json!(scope))).await
    }

    async fn append(&mut self, records: &[Sealed], head: ChainHead) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO audit_log (sequence, record, hash, time, actor, request_id, \
            apply_id, action, outcome, client_identifier, participant_context, scope) \
            SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
            value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11 FROM json_each($1)";
        let row = |sealed: &Sealed| {
            let columns = AuditColumns::of(sealed)?;
            Ok(json!([
                to_sequence(sealed.sequence),
                sealed.text,
                sealed.hash,
                columns.time,
                columns.actor,
                columns.request_id,
                columns.apply_id,
                columns.action,
                columns.outcome,
                columns.client_identifier,
                columns.participant_context,
                columns.scope,
            ]))
        };
        self.write(STATEMENT, records, RECORDS, row).await?;
        sqlx::query("UPDATE audit_head SET sequence = $1, hash = $2")
            .bind(to_sequence(head.sequence))
            .bind(head.hash.to_string())
            .execute(&mut *self.connection)
            .await?;
        self.head = head;
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.connection.execute("COMMIT").await?;
        Ok(())
    }
}

fn names(key: &MappingKey) -> (&str, &str) {
    (key.client_identifier.as_str(), key.participant_context.as_str())
}
