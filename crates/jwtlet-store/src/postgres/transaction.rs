//! A transaction that writes.
//!
//! Each kind of write is one statement over arrays, so that a request with thousands of records takes few round trips.

use jwtlet_core::{
    ClientIdentifier, Scope,
    audit::{ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    metadata::Metadata,
    store::{MappingFilter, ScopeFilter, Stored},
};
use sqlx::{Executor, PgPool};
use tokio::runtime::Handle;

use super::{
    lease::{Lease, limited},
    lists, mapping_columns,
    micros::Micros,
    scope_columns,
};
use crate::{
    database::Transaction,
    error::StoreError,
    rows::{AuditColumns, Life, MappingRow, MetadataRow, ScopeRow, read_head, to_sequence},
};

/// So many records in one statement: each has the limits of a statement to itself.
const RECORDS: usize = 5_000;

/// A transaction that holds the lock of the audit head.
#[derive(Debug)]
pub(crate) struct PostgresTransaction {
    /// `None` once it is committed, or on its way to be rolled back.
    lease: Option<Lease>,
    head: ChainHead,
}

/// A query of an open transaction: its outcome, within the limit.
macro_rules! ask {
    ($transaction:expr, $query:expr, $method:ident) => {{
        let lease = $transaction.lease.as_mut().ok_or(StoreError::NotReady)?;
        let outcome = limited($query.$method(&mut **lease)).await;
        lease.answered(outcome)
    }};
}

impl PostgresTransaction {
    /// Begins, and waits for the writers before it.
    pub(super) async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        let mut lease = Lease::of(pool).await?;
        let begun = limited(lease.execute("BEGIN")).await;
        lease.answered(begun)?;
        let mut transaction = Self { lease: Some(lease), head: ChainHead::EMPTY };
        let head = sqlx::query_as("SELECT sequence, hash FROM audit_head WHERE id = 1 FOR UPDATE");
        let (sequence, hash): (i64, String) = ask!(transaction, head, fetch_one)?;
        transaction.head = read_head(sequence, &hash);
        Ok(transaction)
    }
}

impl Drop for PostgresTransaction {
    /// Rolls back. A connection on which that is not possible is closed, which does the same.
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take().filter(Lease::is_usable) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let outcome = limited(lease.execute("ROLLBACK")).await;
                // Without an answer the connection is closed.
                let _ = lease.answered(outcome);
            });
        }
    }
}

impl Transaction for PostgresTransaction {
    fn head(&self) -> ChainHead {
        self.head
    }

    async fn mappings(&mut self, keys: &[MappingKey]) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        const STATEMENT: &str = concat!(
            "SELECT ",
            mapping_columns!(),
            " FROM unnest($1::text[], $2::text[]) AS wanted (client, context) \
            JOIN resource_mappings AS mapping ON client_identifier = client AND participant_context = context \
            FOR UPDATE OF mapping"
        );
        let query = sqlx::query_as(STATEMENT).bind(clients(keys)).bind(contexts(keys));
        let rows: Vec<MappingRow> = ask!(self, query, fetch_all)?;
        Ok(rows.into_iter().filter_map(MappingRow::read).collect())
    }

    async fn mappings_of(
        &mut self,
        client: &ClientIdentifier,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        const STATEMENT: &str = concat!(
            "SELECT ",
            mapping_columns!(),
            r#" FROM resource_mappings WHERE client_identifier = $1
            ORDER BY participant_context COLLATE "C" FOR UPDATE"#
        );
        let query = sqlx::query_as(STATEMENT).bind(client.as_str());
        let rows: Vec<MappingRow> = ask!(self, query, fetch_all)?;
        Ok(rows.into_iter().filter_map(MappingRow::read).collect())
    }

    async fn scopes(&mut self, scopes: &[Scope]) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        const STATEMENT: &str =
            concat!("SELECT ", scope_columns!(), " FROM scope_mappings WHERE scope = ANY ($1) FOR UPDATE");
        let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
        let query = sqlx::query_as(STATEMENT).bind(scopes);
        let rows: Vec<ScopeRow> = ask!(self, query, fetch_all)?;
        Ok(rows.into_iter().filter_map(ScopeRow::read).collect())
    }

    async fn matching_mappings(
        &mut self,
        filter: &MappingFilter,
        limit: usize,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        let lease = self.lease.as_mut().ok_or(StoreError::NotReady)?;
        let rows = limited(lists::mappings(&mut *lease, filter, None, limit)).await;
        Ok(lease.answered(rows)?.into_iter().filter_map(MappingRow::read).collect())
    }

    async fn matching_scopes(
        &mut self,
        filter: &ScopeFilter,
        limit: usize,
    ) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        let lease = self.lease.as_mut().ok_or(StoreError::NotReady)?;
        let rows = limited(lists::scopes(&mut *lease, filter, None, limit)).await;
        Ok(lease.answered(rows)?.into_iter().filter_map(ScopeRow::read).collect())
    }

    async fn put_mappings(&mut self, mappings: &[&Stored<ResourceMapping>]) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO resource_mappings (client_identifier, participant_context, scopes, \
            audiences, expires_at, description, owner, labels, created_at, updated_at, version) \
            SELECT client, context, ARRAY(SELECT json_array_elements_text(scopes::json)), \
                ARRAY(SELECT json_array_elements_text(audiences::json)), expires_at, description, owner, \
                labels::jsonb, created_at, updated_at, version \
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], \
                $8::text[], $9::timestamptz[], $10::timestamptz[], $11::bigint[]) AS new (client, context, scopes, \
                audiences, expires_at, description, owner, labels, created_at, updated_at, version) \
            ON CONFLICT (client_identifier, participant_context) DO UPDATE SET scopes = excluded.scopes, \
                audiences = excluded.audiences, expires_at = excluded.expires_at, \
                description = excluded.description, owner = excluded.owner, labels = excluded.labels, \
                created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version";
        for mappings in mappings.chunks(RECORDS) {
            let records = || mappings.iter().map(|stored| &stored.record);
            let lives = Lives::of(mappings);
            let (owners, labels) = metadata(records().map(ResourceMapping::metadata))?;
            let scopes = records().map(|mapping| serde_json::to_string(mapping.scopes()));
            let audiences = records().map(|mapping| serde_json::to_string(mapping.audiences()));
            let expiries =
                records().map(|mapping| mapping.expires_at().map(|at| Micros(at.as_microsecond())));
            let query = sqlx::query(STATEMENT)
                .bind(clients(records().map(ResourceMapping::key)))
                .bind(contexts(records().map(ResourceMapping::key)))
                .bind(scopes.collect::<Result<Vec<_>, _>>()?)
                .bind(audiences.collect::<Result<Vec<_>, _>>()?)
                .bind(expiries.collect::<Vec<_>>())
                .bind(records().map(ResourceMapping::description).collect::<Vec<_>>())
                .bind(owners)
                .bind(labels)
                .bind(lives.created_at)
                .bind(lives.updated_at)
                .bind(lives.version);
            ask!(self, query, execute)?;
        }
        Ok(())
    }

    async fn remove_mappings(&mut self, keys: &[&MappingKey]) -> Result<(), StoreError> {
        const STATEMENT: &str = "DELETE FROM resource_mappings AS mapping \
            USING unnest($1::text[], $2::text[]) AS old (client, context) \
            WHERE mapping.client_identifier = old.client AND mapping.participant_context = old.context";
        let keys = || keys.iter().copied();
        let query = sqlx::query(STATEMENT).bind(clients(keys())).bind(contexts(keys()));
        ask!(self, query, execute).map(drop)
    }

    async fn put_scopes(&mut self, scopes: &[&Stored<ScopeMapping>]) -> Result<(), StoreError> {
        const STATEMENT: &str = "INSERT INTO scope_mappings (scope, claims, claims_json, owner, labels, created_at, \
                updated_at, version) \
            SELECT scope, claims::jsonb, claims, owner, labels::jsonb, created_at, updated_at, version \
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], \
                $7::bigint[]) AS new (scope, claims, owner, labels, created_at, updated_at, version) \
            ON CONFLICT (scope) DO UPDATE SET claims = excluded.claims, claims_json = excluded.claims_json, \
                owner = excluded.owner, labels = excluded.labels, created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version";
        for scopes in scopes.chunks(RECORDS) {
            let lives = Lives::of(scopes);
            let (owners, labels) = metadata(scopes.iter().map(|stored| stored.record.metadata()))?;
            let names: Vec<_> = scopes.iter().map(|stored| stored.record.scope().as_str()).collect();
            let claims = scopes.iter().map(|stored| serde_json::to_string(stored.record.claims()));
            let query = sqlx::query(STATEMENT)
                .bind(names)
                .bind(claims.collect::<Result<Vec<_>, _>>()?)
                .bind(owners)
                .bind(labels)
                .bind(lives.created_at)
                .bind(lives.updated_at)
                .bind(lives.version);
            ask!(self, query, execute)?;
        }
        Ok(())
    }

    async fn remove_scopes(&mut self, scopes: &[&Scope]) -> Result<(), StoreError> {
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        let query = sqlx::query("DELETE FROM scope_mappings WHERE scope = ANY ($1)").bind(scopes);
        ask!(self, query, execute).map(drop)
    }

    async fn append(&mut self, records: &[Sealed], head: ChainHead) -> Result<(), StoreError> {
        const STATEMENT: &str = "WITH head AS (UPDATE audit_head SET sequence = $13, hash = $14 WHERE id = 1) \
            INSERT INTO audit_log (sequence, record, hash, time, actor, request_id, apply_id, action, \
                outcome, client_identifier, participant_context, scope) \
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], \
                $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])";
        for records in records.chunks(RECORDS) {
            let columns = records.iter().map(AuditColumns::of).collect::<Result<Vec<_>, _>>()?;
            let text =
                |value: fn(&AuditColumns) -> Option<&str>| columns.iter().map(value).collect::<Vec<_>>();
            let query = sqlx::query(STATEMENT)
                .bind(records.iter().map(|record| to_sequence(record.sequence)).collect::<Vec<_>>())
                .bind(records.iter().map(|record| record.text.as_str()).collect::<Vec<_>>())
                .bind(records.iter().map(|record| record.hash.to_string()).collect::<Vec<_>>())
                .bind(columns.iter().map(|columns| Micros(columns.time)).collect::<Vec<_>>())
                .bind(text(|columns| Some(&columns.actor)))
                .bind(text(|columns| Some(&columns.request_id)))
                .bind(text(|columns| columns.apply_id.as_deref()))
                .bind(text(|columns| Some(columns.action.name())))
                .bind(text(|columns| Some(columns.outcome.name())))
                .bind(text(|columns| columns.client_identifier.as_deref()))
                .bind(text(|columns| columns.participant_context.as_deref()))
                .bind(text(|columns| columns.scope.as_deref()))
                .bind(to_sequence(head.sequence))
                .bind(head.hash.to_string());
            ask!(self, query, execute)?;
        }
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let mut lease = self.lease.take().ok_or(StoreError::NotReady)?;
        let outcome = limited(lease.execute("COMMIT")).await;
        lease.answered(outcome).map(drop)
    }
}

fn clients<'a>(keys: impl IntoIterator<Item = &'a MappingKey>) -> Vec<&'a str> {
    keys.into_iter().map(|key| key.client_identifier.as_str()).collect()
}

fn contexts<'a>(keys: impl IntoIterator<Item = &'a MappingKey>) -> Vec<&'a str> {
    keys.into_iter().map(|key| key.participant_context.as_str()).collect()
}

/// A column of texts.
type Texts = Vec<Option<String>>;

/// The owners and the labels of many records.
fn metadata<'a>(records: impl Iterator<Item = &'a Metadata>) -> Result<(Texts, Texts), StoreError> {
    let rows = records.map(|metadata| MetadataRow::of(metadata).map(|row| (row.owner, row.labels)));
    rows.collect()
}

/// The lives of many records, column by column.
struct Lives {
    created_at: Vec<Micros>,
    updated_at: Vec<Micros>,
    version: Vec<i64>,
}

impl Lives {
    fn of<T>(records: &[&Stored<T>]) -> Self {
        let lives = || records.iter().map(|stored| Life::from_stored(stored));
        Self {
            created_at: lives().map(|life| Micros(life.created_at)).collect(),
            updated_at: lives().map(|life| Micros(life.updated_at)).collect(),
            version: lives().map(|life| life.version).collect(),
        }
    }
}
