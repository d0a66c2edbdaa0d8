//! The store as the rest of jwtlet sees it: the port over whichever database is configured.

use std::{path::PathBuf, sync::Arc};

use jwtlet_core::{
    PolicyStore, Scope, UpstreamError,
    apply::{ApplyError, Desired, Execution, Outcome, Snapshot},
    audit::{AuditEntry, AuditFilter, AuditRecord, ChainHead, Sealed},
    change::{Applied, Author, Change, ChangeError},
    health::Health,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    metadata::MetadataFilter,
    store::{Freshness, Lookup, MappingFilter, Page, ScopeFilter, Stored},
};

use jwtlet_upstream::{Calls, trace};
use tracing::{Instrument, trace_span};

use crate::{
    engine::Engine,
    postgres::{Postgres, PostgresSettings},
    sqlite::Sqlite,
    state::StoreState,
};

/// How much memory [`Store::memory`] takes for remembered policy, in bytes.
const MEMORY_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Where policy is kept.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In the memory of this process, until it ends.
    Memory,
    /// In a SQLite database, for one process on one node.
    Sqlite {
        /// The file. It is created, readable by its owner only, when it does not exist; its directory has to.
        path: PathBuf,
    },
    /// In PostgreSQL, shared by any number of replicas.
    Postgres(PostgresSettings),
}

/// The settings of a store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Where policy is kept.
    pub backend: Backend,
    /// How much memory remembered policy may take, in bytes; 0 remembers nothing.
    pub policy_cache_bytes: u64,
}

/// Keeps policy in a database.
///
/// Clones share the database and what is remembered of it.
#[derive(Debug, Clone)]
pub struct Store {
    engine: AnyEngine,
}

#[derive(Debug, Clone)]
enum AnyEngine {
    Sqlite(Arc<Engine<Sqlite>>),
    Postgres(Arc<Engine<Postgres>>),
}

/// The same call on the engine of either database.
macro_rules! on_engine {
    ($store:expr, $engine:ident => $call:expr) => {
        match &$store.engine {
            AnyEngine::Sqlite($engine) => $call,
            AnyEngine::Postgres($engine) => $call,
        }
    };
}

impl Store {
    /// A store that has contacted nothing yet; [`Store::run`] has to be polled beside it.
    #[must_use]
    pub fn open(settings: StoreSettings) -> Self {
        let bytes = settings.policy_cache_bytes;
        let engine = match settings.backend {
            Backend::Memory => AnyEngine::Sqlite(Arc::new(Engine::alone(Sqlite::memory(), bytes))),
            Backend::Sqlite { path } => AnyEngine::Sqlite(Arc::new(Engine::new(Sqlite::file(path), bytes))),
            Backend::Postgres(settings) => {
                AnyEngine::Postgres(Arc::new(Engine::new(Postgres::new(settings), bytes)))
            }
        };
        Self { engine }
    }

    /// A store in memory, which can be used at once.
    #[must_use]
    pub fn memory() -> Self {
        Self::open(StoreSettings { backend: Backend::Memory, policy_cache_bytes: MEMORY_CACHE_BYTES })
    }

    /// Connects to the database, brings its schema up to date, and follows the changes that others make; for ever.
    /// Whatever fails is tried again, shows in [`PolicyStore::health`], and is logged when it changes.
    pub async fn run(&self) {
        on_engine!(self, engine => engine.run().await);
    }
}

impl Store {
    /// What it is doing, for whoever watches it.
    #[must_use]
    pub fn state(&self) -> StoreState {
        on_engine!(self, engine => engine.state())
    }

    /// What became of the calls to the database so far.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        on_engine!(self, engine => engine.calls())
    }
}

impl PolicyStore for Store {
    async fn policy(
        &self,
        key: &MappingKey,
        requested: &[Scope],
        freshness: Freshness,
    ) -> Result<Lookup, UpstreamError> {
        let stage = trace_span!(target: trace::TARGET, "policy");
        Ok(on_engine!(self, engine => engine.policy(key, requested, freshness).instrument(stage).await)?)
    }

    async fn change(&self, changes: Vec<Change>, author: &Author) -> Result<Vec<Applied>, ChangeError> {
        on_engine!(self, engine => Arc::clone(engine).change(changes, author.clone()).await)
    }

    async fn apply(
        &self,
        desired: Desired,
        execution: Execution,
        author: &Author,
    ) -> Result<Outcome, ApplyError> {
        on_engine!(self, engine => Arc::clone(engine).apply(desired, execution, author.clone()).await)
    }

    async fn snapshot(&self, filter: &MetadataFilter, limit: usize) -> Result<Snapshot, UpstreamError> {
        Ok(on_engine!(self, engine => engine.snapshot(filter, limit).await)?)
    }

    async fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> Result<Vec<Stored<ResourceMapping>>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.list_mappings(filter, page).await)?)
    }

    async fn mapping(&self, key: &MappingKey) -> Result<Option<Stored<ResourceMapping>>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.mapping(key).await)?)
    }

    async fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> Result<Vec<Stored<ScopeMapping>>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.list_scopes(filter, page).await)?)
    }

    async fn scope(&self, scope: &Scope) -> Result<Option<Stored<ScopeMapping>>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.scope(scope).await)?)
    }

    async fn record_refusal(&self, refusal: AuditEntry, author: &Author) -> Result<(), UpstreamError> {
        Ok(on_engine!(self, engine => Arc::clone(engine).record_refusal(refusal, author.clone()).await)?)
    }

    async fn audit(&self, filter: &AuditFilter, page: &Page<u64>) -> Result<Vec<AuditRecord>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.audit(filter, page).await)?)
    }

    async fn chain(&self, page: &Page<u64>) -> Result<Vec<Sealed>, UpstreamError> {
        Ok(on_engine!(self, engine => engine.chain(page).await)?)
    }

    async fn chain_head(&self) -> Result<ChainHead, UpstreamError> {
        Ok(on_engine!(self, engine => engine.chain_head().await)?)
    }

    fn health(&self) -> Health {
        on_engine!(self, engine => engine.health())
    }
}
