//! SQLite: policy in a file of one node, or in memory.
//!
//! Durable and consistent by write-ahead log and `synchronous = FULL`: a change that returned survives a power cut, and
//! readers see it wholly or not at all. One connection writes, some read.

mod lists;
mod open;
mod rows;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jwtlet_core::{
    Scope,
    audit::{AuditFilter, AuditRecord, ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{MappingFilter, Page, Policy, ScopeFilter, Stored},
};
use tokio::{sync::OnceCell, time::sleep};

use self::{
    open::{Pools, open_file, open_memory},
    rows::PolicyRow,
    transaction::SqliteTransaction,
};
use crate::{
    cache::PolicyCache,
    database::Database,
    error::StoreError,
    health::StoreHealth,
    rows::{MappingRow, ScopeRow, read_audit, read_head, read_scope, read_sealed, to_limit, to_sequence},
    state::{Connections, PolicySize},
};

/// How long until a file that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A SQLite database, open or not yet.
#[derive(Debug)]
pub(crate) struct Sqlite {
    location: Location,
    pools: OnceCell<Pools>,
}

#[derive(Debug)]
enum Location {
    Memory,
    File(PathBuf),
}

impl Sqlite {
    /// A database in memory. The first call makes it.
    pub(crate) fn memory() -> Self {
        Self { location: Location::Memory, pools: OnceCell::new() }
    }

    /// A database in a file. It is opened in the background, by [`Database::run`].
    pub(crate) fn file(path: PathBuf) -> Self {
        Self { location: Location::File(path), pools: OnceCell::new() }
    }

    async fn pools(&self) -> Result<&Pools, StoreError> {
        match &self.location {
            Location::Memory => self.pools.get_or_try_init(open_memory).await,
            Location::File(_) => self.pools.get().ok_or(StoreError::NotReady),
        }
    }
}

impl Database for Sqlite {
    type Transaction = SqliteTransaction;

    async fn begin(&self) -> Result<SqliteTransaction, StoreError> {
        SqliteTransaction::begin(self.pools().await?.write.acquire().await?).await
    }

    async fn policy(&self, key: &MappingKey) -> Result<Option<Policy>, StoreError> {
        // The row without a scope is the mapping, the others are its scope mappings.
        const STATEMENT: &str = "SELECT client_identifier, participant_context, scopes, audiences, expires_at, \
            description, created_at, updated_at, version, NULL AS scope, NULL AS claims FROM resource_mappings \
            WHERE client_identifier = $1 AND participant_context = $2 \
            UNION ALL SELECT '', '', '', '', NULL, NULL, 0, 0, 0, scope_mapping.scope, scope_mapping.claims \
            FROM resource_mappings AS mapping CROSS JOIN json_each(mapping.scopes) AS granted \
            CROSS JOIN scope_mappings AS scope_mapping ON scope_mapping.scope = granted.value \
            WHERE mapping.client_identifier = $1 AND mapping.participant_context = $2";
        let rows: Vec<PolicyRow> = sqlx::query_as(STATEMENT)
            .bind(key.client_identifier.as_str())
            .bind(key.participant_context.as_str())
            .fetch_all(&self.pools().await?.read)
            .await?;
        let mut mapping = None;
        let mut scopes = Vec::new();
        for row in rows {
            match row {
                PolicyRow::Mapping(row) => mapping = row.read(),
                PolicyRow::Scope { scope, claims } => scopes.extend(read_scope(&scope, &claims)),
            }
        }
        Ok(mapping.map(|stored| Policy::new(stored.record, scopes.into_iter().map(Arc::new).collect())))
    }

    async fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        let read = &self.pools().await?.read;
        let mut found = Vec::new();
        let mut after = page.after.as_ref().map(|key| {
            (key.client_identifier.as_str().to_owned(), key.participant_context.as_str().to_owned())
        });
        // A page of which rows are left out is filled up, because a short one would look like the last.
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = lists::mappings(read, filter, after.as_ref(), limit).await?;
            let is_last = rows.len() < limit;
            after = rows.last().map(|row| (row.client_identifier.clone(), row.participant_context.clone()));
            found.extend(rows.into_iter().filter_map(MappingRow::read));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn mapping(&self, key: &MappingKey) -> Result<Option<Stored<ResourceMapping>>, StoreError> {
        const STATEMENT: &str = "SELECT * FROM resource_mappings \
            WHERE client_identifier = $1 AND participant_context = $2";
        let row: Option<MappingRow> = sqlx::query_as(STATEMENT)
            .bind(key.client_identifier.as_str())
            .bind(key.participant_context.as_str())
            .fetch_optional(&self.pools().await?.read)
            .await?;
        Ok(row.and_then(MappingRow::read))
    }

    async fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        let read = &self.pools().await?.read;
        let mut found = Vec::new();
        let mut after = page.after.as_ref().map(|scope| scope.as_str().to_owned());
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = lists::scopes(read, filter, after.as_deref(), limit).await?;
            let is_last = rows.len() < limit;
            after = rows.last().map(|row| row.scope.clone());
            found.extend(rows.into_iter().filter_map(ScopeRow::read));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn scope(&self, scope: &Scope) -> Result<Option<Stored<ScopeMapping>>, StoreError> {
        let row: Option<ScopeRow> = sqlx::query_as("SELECT * FROM scope_mappings WHERE scope = $1")
            .bind(scope.as_str())
            .fetch_optional(&self.pools().await?.read)
            .await?;
        Ok(row.and_then(ScopeRow::read))
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page<u64>) -> Result<Vec<AuditRecord>, StoreError> {
        let read = &self.pools().await?.read;
        let mut found = Vec::new();
        let mut before = page.after.map(to_sequence);
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = lists::audit(read, filter, before, limit).await?;
            let is_last = rows.len() < limit;
            before = rows.last().map(|(sequence, _)| *sequence);
            found.extend(rows.iter().filter_map(|(sequence, record)| read_audit(*sequence, record)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn chain(&self, page: &Page<u64>) -> Result<Vec<Sealed>, StoreError> {
        const STATEMENT: &str = "SELECT sequence, record, hash FROM audit_log WHERE sequence > $1 \
            ORDER BY sequence LIMIT $2";
        let rows: Vec<(i64, String, String)> = sqlx::query_as(STATEMENT)
            .bind(page.after.map_or(0, to_sequence))
            .bind(to_limit(page.limit))
            .fetch_all(&self.pools().await?.read)
            .await?;
        Ok(rows.into_iter().map(|(sequence, record, hash)| read_sealed(sequence, record, &hash)).collect())
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        let (sequence, hash): (i64, String) = sqlx::query_as("SELECT sequence, hash FROM audit_head")
            .fetch_one(&self.pools().await?.read)
            .await?;
        Ok(read_head(sequence, &hash))
    }

    async fn size(&self) -> Result<PolicySize, StoreError> {
        const STATEMENT: &str =
            "SELECT (SELECT count(*) FROM resource_mappings), (SELECT count(*) FROM scope_mappings)";
        let pools = self.pools().await?;
        let (mappings, scopes): (i64, i64) = sqlx::query_as(STATEMENT).fetch_one(&pools.read).await?;
        Ok(PolicySize { mappings: mappings.unsigned_abs(), scopes: scopes.unsigned_abs() })
    }

    fn connections(&self) -> Connections {
        self.pools.get().map_or_else(Connections::default, Pools::connections)
    }

    async fn run(&self, cache: &PolicyCache, health: &StoreHealth) {
        let Location::File(path) = &self.location else { return std::future::pending().await };
        let pools = loop {
            match self.pools.get_or_try_init(|| open_file(path)).await {
                Ok(pools) => break pools,
                Err(error) => health.failed(&error),
            }
            sleep(RETRY).await;
        };
        watch::watch(pools, cache, health).await;
    }
}
