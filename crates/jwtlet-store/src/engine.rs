//! The rules of a store, over any database: what an exchange may be answered from memory, and how changes are made.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use jwtlet_core::{
    Scope, UpstreamError,
    audit::{AuditEntry, AuditFilter, AuditRecord, ChainHead, Sealed},
    change::{Applied, Author, Change, ChangeError},
    health::Health,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{Freshness, Lookup, MappingFilter, Page, ScopeFilter, Stored},
};
use jwtlet_upstream::Calls;
use tokio::time::{sleep, timeout_at};
use tracing::Instrument;

use crate::{
    cache::PolicyCache,
    database::{Database, Transaction},
    error::StoreError,
    health::StoreHealth,
    plan::Plan,
    readings::{Ended, Readings},
    state::{PolicySize, StoreState},
};

/// How often the records are counted, and how soon again while that does not succeed.
const MEASURED_EVERY: Duration = Duration::from_mins(1);
const FIRST_MEASURED_WITHIN: Duration = Duration::from_secs(1);

/// How long somebody waits for reads that others have begun. Then a read of its own is better.
const SHARED_WITHIN: Duration = Duration::from_secs(1);

/// How often a transaction that lost against another one is made, in all.
pub(crate) const ATTEMPTS: u32 = 3;

/// A database with what is remembered of it.
#[derive(Debug)]
pub(crate) struct Engine<D> {
    database: D,
    cache: PolicyCache,
    readings: Readings,
    health: StoreHealth,
    size: ArcSwapOption<PolicySize>,
}

/// Why an attempt at a change changed nothing.
pub(crate) enum Failure<E> {
    Refused(E),
    Store(StoreError),
}

impl<E> From<StoreError> for Failure<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<E: From<UpstreamError>> Failure<E> {
    /// Whether another attempt may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }

    pub(crate) fn into_error(self) -> E {
        match self {
            Self::Refused(error) => error,
            Self::Store(error) => UpstreamError::from(error).into(),
        }
    }
}

impl<D: Database> Engine<D> {
    /// Over a database that others may change. It remembers at most so many bytes of policy, and nothing before the
    /// database is known to report changes.
    pub(crate) fn new(database: D, cache_bytes: u64) -> Self {
        Self {
            database,
            cache: PolicyCache::new(cache_bytes),
            readings: Readings::default(),
            health: StoreHealth::default(),
            size: ArcSwapOption::empty(),
        }
    }

    /// Over a database that only this engine can reach, and that is there at once.
    pub(crate) fn alone(database: D, cache_bytes: u64) -> Self {
        let engine = Self::new(database, cache_bytes);
        engine.cache.trust_always();
        engine.health.succeeded();
        engine
    }

    /// Keeps the connection to the database, and what is remembered true; for ever.
    pub(crate) async fn run(&self) {
        // Both are large, and made once.
        tokio::join!(Box::pin(self.database.run(&self.cache, &self.health)), Box::pin(self.measure()));
    }

    /// Counts the records now and then, for ever. That is a matter of some 100 ms for a million of them.
    async fn measure(&self) {
        loop {
            let size = self.database.size().await;
            let is_known = size.is_ok();
            if let Ok(size) = size {
                self.size.store(Some(Arc::new(size)));
            }
            sleep(if is_known { MEASURED_EVERY } else { FIRST_MEASURED_WITHIN }).await;
        }
    }

    /// What it is doing, for whoever watches it.
    pub(crate) fn state(&self) -> StoreState {
        StoreState {
            size: self.size.load().as_deref().copied(),
            connections: self.database.connections(),
            feed_is_alive: self.cache.is_trusted(Instant::now()),
            cache: self.cache.usage(),
        }
    }

    /// What became of the calls so far.
    pub(crate) fn calls(&self) -> &Calls {
        self.health.calls()
    }

    /// [`jwtlet_core::PolicyStore::policy`].
    pub(crate) async fn policy(
        &self,
        key: &MappingKey,
        requested: &[Scope],
        freshness: Freshness,
    ) -> Result<Lookup, StoreError> {
        let is_current = freshness == Freshness::Current;
        if !is_current && let Some(lookup) = self.remembered_policy(key, requested) {
            return Ok(lookup);
        }
        // A query is a large future, and not a part of those that find their policy remembered.
        Box::pin(async move {
            if is_current { self.current_policy(key).await } else { self.recent_policy(key, requested).await }
        })
        .await
    }

    fn remembered_policy(&self, key: &MappingKey, requested: &[Scope]) -> Option<Lookup> {
        let policy = self.cache.get(key, requested, Instant::now())?;
        Some(Lookup { policy: Some(policy), freshness: Freshness::Recent })
    }

    /// The policy from the database, unless somebody else reads it just now and it is remembered after that.
    async fn recent_policy(&self, key: &MappingKey, requested: &[Scope]) -> Result<Lookup, StoreError> {
        if !self.cache.may_learn(key, Instant::now()) {
            return self.current_policy(key).await;
        }
        let patience = Instant::now() + SHARED_WITHIN;
        loop {
            let other = match self.readings.begin(key) {
                Ok(reading) => {
                    let lookup = self.current_policy(key).await?;
                    reading.succeeded();
                    return Ok(lookup);
                }
                Err(other) => other,
            };
            let ended = timeout_at(patience.into(), other.ended()).await;
            if let Some(policy) = self.cache.find(key, requested, Instant::now()) {
                return Ok(Lookup { policy: Some(policy), freshness: Freshness::Recent });
            }
            // Who was let down waits for the next one; what is not remembered after a read that succeeded may never be.
            if ended.is_err() || ended == Ok(Ended::Succeeded) {
                return self.current_policy(key).await;
            }
        }
    }

    async fn current_policy(&self, key: &MappingKey) -> Result<Lookup, StoreError> {
        let read_at = self.cache.generation();
        let policy = self.health.observe(self.database.policy(key)).await?.map(Arc::new);
        if let Some(policy) = &policy {
            self.cache.insert(read_at, key.clone(), Arc::clone(policy));
        }
        Ok(Lookup { policy, freshness: Freshness::Current })
    }

    /// [`jwtlet_core::PolicyStore::change`].
    pub(crate) async fn change(
        self: Arc<Self>,
        changes: Vec<Change>,
        author: Author,
    ) -> Result<Vec<Applied>, ChangeError> {
        to_the_end(async move { self.try_change(&changes, &author).await })
            .await
            .map_err(|error| ChangeError::Upstream(error.into()))?
            .map_err(Failure::into_error)
    }

    /// [`jwtlet_core::PolicyStore::record_refusal`].
    pub(crate) async fn record_refusal(
        self: Arc<Self>,
        refusal: AuditEntry,
        author: Author,
    ) -> Result<(), StoreError> {
        to_the_end(async move {
            let mut attempt = 1;
            loop {
                match self.record(refusal.clone(), &author).await {
                    Err(error) if error.is_conflict() && attempt < ATTEMPTS => {
                        self.health.calls().retried();
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await?
    }

    pub(crate) async fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        self.health.observe(self.database.list_mappings(filter, page)).await
    }

    pub(crate) async fn mapping(
        &self,
        key: &MappingKey,
    ) -> Result<Option<Stored<ResourceMapping>>, StoreError> {
        self.health.observe(self.database.mapping(key)).await
    }

    pub(crate) async fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        self.health.observe(self.database.list_scopes(filter, page)).await
    }

    pub(crate) async fn scope(&self, scope: &Scope) -> Result<Option<Stored<ScopeMapping>>, StoreError> {
        self.health.observe(self.database.scope(scope)).await
    }

    pub(crate) async fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page<u64>,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.health.observe(self.database.audit(filter, page)).await
    }

    pub(crate) async fn chain(&self, page: &Page<u64>) -> Result<Vec<Sealed>, StoreError> {
        self.health.observe(self.database.chain(page)).await
    }

    pub(crate) async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        self.health.observe(self.database.chain_head()).await
    }

    pub(crate) fn health(&self) -> Health {
        self.health.get()
    }

    pub(crate) fn database(&self) -> &D {
        &self.database
    }

    async fn try_change(
        &self,
        changes: &[Change],
        author: &Author,
    ) -> Result<Vec<Applied>, Failure<ChangeError>> {
        let mut attempt = 1;
        loop {
            match self.make(changes, author).await {
                Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => {
                    self.health.calls().retried();
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// One transaction.
    async fn make(&self, changes: &[Change], author: &Author) -> Result<Vec<Applied>, Failure<ChangeError>> {
        let mut transaction = self.health.count(self.database.begin()).await?;
        let mut plan = Plan::load(&mut transaction, changes).await?;
        let applied = changes
            .iter()
            .map(|change| plan.apply(change, author.at).map_err(Failure::Refused))
            .collect::<Result<_, _>>()?;
        plan.write(&mut transaction).await?;
        append(&mut transaction, plan.take_entries(), author).await?;
        self.commit(transaction, &plan).await?;
        Ok(applied)
    }

    /// What was remembered of the changed records is forgotten also when the end of the transaction is not known: the
    /// connection may be lost after the database made the change.
    pub(crate) async fn commit(&self, transaction: D::Transaction, plan: &Plan) -> Result<(), StoreError> {
        let outcome = self.health.count(transaction.commit()).await;
        if plan.changes_scopes() {
            self.cache.clear();
        } else {
            self.cache.forget(plan.changed_mappings());
        }
        outcome
    }

    async fn record(&self, refusal: AuditEntry, author: &Author) -> Result<(), StoreError> {
        let mut transaction = self.health.count(self.database.begin()).await?;
        append(&mut transaction, vec![refusal], author).await?;
        transaction.commit().await
    }
}

async fn append(
    transaction: &mut impl Transaction,
    entries: Vec<AuditEntry>,
    author: &Author,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut head = transaction.head();
    let records = entries.into_iter().map(|entry| head.seal(entry, author)).collect::<Result<Vec<_>, _>>()?;
    transaction.append(&records, head).await
}

/// Runs to its end even when nobody waits for it any more: a request that is cut off between the commit and the
/// forgetting must not leave something remembered that is no longer true.
pub(crate) async fn to_the_end<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(future.in_current_span()).await.map_err(StoreError::GivenUp)
}
