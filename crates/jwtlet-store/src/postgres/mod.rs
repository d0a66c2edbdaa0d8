//! PostgreSQL: policy that any number of replicas share.
//!
//! Writers take turns by locking one row, so a change never meets half of another. Readers take no lock. What is remembered
//! is kept true by a feed of notifications that triggers raise, whoever changes a row.

mod feed;
mod lease;
mod lists;
mod micros;
mod rows;
mod schema;
mod settings;
mod transaction;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use jwtlet_core::{
    Scope,
    audit::{AuditFilter, AuditRecord, ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{MappingFilter, Page, Policy, ScopeFilter, Stored},
};
use jwtlet_upstream::Backoff;
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::time::{MissedTickBehavior, interval, sleep};

pub use self::settings::{PostgresSettings, PostgresUrlError, SslMode, UnknownSslMode};
use self::{
    lease::{Lease, limited},
    transaction::PostgresTransaction,
};
use crate::{
    cache::PolicyCache,
    database::Database,
    error::StoreError,
    health::StoreHealth,
    rows::{
        MappingRow, MetadataRow, ScopeRow, read_audit, read_head, read_scope, read_sealed, to_limit,
        to_sequence,
    },
    state::{Connections, PolicySize},
};

/// The columns of a row, by name: a statement with `*` in it fails once a newer program has added a column.
macro_rules! policy_columns {
    () => {
        "client_identifier, participant_context, scopes, audiences, expires_at, description, created_at, updated_at, \
         version"
    };
}
macro_rules! mapping_columns {
    () => {
        "client_identifier, participant_context, scopes, audiences, expires_at, description, created_at, updated_at, \
         version, owner, labels::text AS labels"
    };
}
macro_rules! scope_columns {
    () => {
        "scope, coalesce(claims_json, claims::text) AS claims, created_at, updated_at, version, owner, \
         labels::text AS labels"
    };
}
use {mapping_columns, scope_columns};

/// Until a database that could not be prepared is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Between two looks at whether the database can be read.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// A PostgreSQL database, reached or not yet.
#[derive(Debug)]
pub(crate) struct Postgres {
    settings: PostgresSettings,
    /// There once the schema is known to be what this program needs. A later program may go on changing it.
    pool: OnceLock<PgPool>,
}

impl Postgres {
    /// A database that is contacted by [`Database::run`].
    pub(crate) fn new(settings: PostgresSettings) -> Self {
        Self { settings, pool: OnceLock::new() }
    }

    fn pool(&self) -> Result<&PgPool, StoreError> {
        self.pool.get().ok_or(StoreError::NotReady)
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        Lease::of(self.pool()?).await
    }

    /// Reads a little, so that an outage shows and ends without requests.
    async fn probe(&self, health: &StoreHealth) {
        let mut ticks = interval(PROBE_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The outcome is what counts, and it is taken note of.
            let _ = health.observe(self.chain_head()).await;
        }
    }
}

impl Database for Postgres {
    type Transaction = PostgresTransaction;

    async fn begin(&self) -> Result<PostgresTransaction, StoreError> {
        PostgresTransaction::begin(self.pool()?).await
    }

    async fn policy(&self, key: &MappingKey) -> Result<Option<Policy>, StoreError> {
        const STATEMENT: &str = concat!(
            "SELECT ",
            policy_columns!(),
            ", names, claims FROM resource_mappings AS mapping CROSS JOIN LATERAL ( \
                SELECT array_agg(scope) AS names, array_agg(coalesce(claims_json, claims::text)) AS claims \
                FROM scope_mappings WHERE scope = ANY (mapping.scopes)) AS found \
            WHERE client_identifier = $1 AND participant_context = $2"
        );
        let mut lease = self.lease().await?;
        let query = sqlx::query(STATEMENT)
            .bind(key.client_identifier.as_str())
            .bind(key.participant_context.as_str());
        let row = limited(query.fetch_optional(&mut *lease)).await;
        Ok(lease.answered(row)?.map(|row| read_policy(&row)).transpose()?.flatten())
    }

    async fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        let mut lease = self.lease().await?;
        let mut found = Vec::new();
        let mut after = page.after.as_ref().map(|key| {
            (key.client_identifier.as_str().to_owned(), key.participant_context.as_str().to_owned())
        });
        // A page of which rows are left out is filled up, because a short one would look like the last.
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = limited(lists::mappings(&mut lease, filter, after.as_ref(), limit)).await;
            let rows = lease.answered(rows)?;
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
        const STATEMENT: &str = concat!(
            "SELECT ",
            mapping_columns!(),
            " FROM resource_mappings WHERE client_identifier = $1 AND participant_context = $2"
        );
        let mut lease = self.lease().await?;
        let query = sqlx::query_as(STATEMENT)
            .bind(key.client_identifier.as_str())
            .bind(key.participant_context.as_str());
        let row = limited(query.fetch_optional(&mut *lease)).await;
        Ok(lease.answered(row)?.and_then(MappingRow::read))
    }

    async fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        let mut lease = self.lease().await?;
        let mut found = Vec::new();
        let mut after = page.after.as_ref().map(|scope| scope.as_str().to_owned());
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = limited(lists::scopes(&mut lease, filter, after.as_deref(), limit)).await;
            let rows = lease.answered(rows)?;
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
        const STATEMENT: &str = concat!("SELECT ", scope_columns!(), " FROM scope_mappings WHERE scope = $1");
        let mut lease = self.lease().await?;
        let query = sqlx::query_as(STATEMENT).bind(scope.as_str());
        let row = limited(query.fetch_optional(&mut *lease)).await;
        Ok(lease.answered(row)?.and_then(ScopeRow::read))
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page<u64>) -> Result<Vec<AuditRecord>, StoreError> {
        let mut lease = self.lease().await?;
        let mut found = Vec::new();
        let mut before = page.after.map(to_sequence);
        while found.len() < page.limit {
            let limit = page.limit - found.len();
            let rows = limited(lists::audit(&mut lease, filter, before, limit)).await;
            let rows = lease.answered(rows)?;
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
        const STATEMENT: &str =
            "SELECT sequence, record, hash FROM audit_log WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let mut lease = self.lease().await?;
        let query =
            sqlx::query_as(STATEMENT).bind(page.after.map_or(0, to_sequence)).bind(to_limit(page.limit));
        let rows = limited(query.fetch_all(&mut *lease)).await;
        let rows: Vec<(i64, String, String)> = lease.answered(rows)?;
        Ok(rows.into_iter().map(|(sequence, record, hash)| read_sealed(sequence, record, &hash)).collect())
    }

    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        let mut lease = self.lease().await?;
        let query = sqlx::query_as("SELECT sequence, hash FROM audit_head WHERE id = 1");
        let row = limited(query.fetch_one(&mut *lease)).await;
        let (sequence, hash): (i64, String) = lease.answered(row)?;
        Ok(read_head(sequence, &hash))
    }

    async fn size(&self) -> Result<PolicySize, StoreError> {
        const STATEMENT: &str =
            "SELECT (SELECT count(*) FROM resource_mappings), (SELECT count(*) FROM scope_mappings)";
        let mut lease = self.lease().await?;
        let row = limited(sqlx::query_as(STATEMENT).fetch_one(&mut *lease)).await;
        let (mappings, scopes): (i64, i64) = lease.answered(row)?;
        Ok(PolicySize { mappings: mappings.unsigned_abs(), scopes: scopes.unsigned_abs() })
    }

    fn connections(&self) -> Connections {
        self.pool.get().map_or_else(Connections::default, |pool| {
            let (open, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
            Connections { busy: open.saturating_sub(idle), idle, max: self.settings.max_connections.into() }
        })
    }

    async fn run(&self, cache: &PolicyCache, health: &StoreHealth) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let options = loop {
            match self.prepare().await {
                Ok(options) => break options,
                Err(error) => health.failed(&error),
            }
            sleep(backoff.pause()).await;
        };
        self.pool.get_or_init(|| lease::pool(&self.settings, options.clone()));
        let feed = options.application_name(&format!("{} feed", self.settings.application_name));
        tokio::join!(feed::follow(&feed, cache), self.probe(health));
    }
}

impl Postgres {
    async fn prepare(&self) -> Result<sqlx::postgres::PgConnectOptions, StoreError> {
        let options =
            self.settings.connect_options().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        schema::prepare(&options, self.settings.run_migrations_on_startup).await?;
        Ok(options)
    }
}

fn read_policy(row: &PgRow) -> Result<Option<Policy>, sqlx::Error> {
    let names: Option<Vec<String>> = row.try_get("names")?;
    let claims: Option<Vec<String>> = row.try_get("claims")?;
    let scopes = names.iter().flatten().zip(claims.iter().flatten());
    let scopes = scopes.filter_map(|(scope, claims)| read_scope(scope, claims)).map(Arc::new).collect();
    Ok(rows::mapping(row, MetadataRow::default())?.read().map(|stored| Policy::new(stored.record, scopes)))
}
