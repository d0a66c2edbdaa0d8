//! A running store on a database of its own, and short names for what tests say often.

use std::{any::Any, path::Path, time::Duration};

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, PolicyStore, Scope, Subject,
    audit::{AuditFilter, AuditRecord, Broken, ChainHead, ChainVerifier},
    change::{Applied, Author, Change, ChangeError, Precondition},
    health::Health,
    mapping::{ClaimRules, MappingKey, ResourceMapping, ScopeMapping},
    store::{Freshness, Lookup, MappingFilter, Page},
};
use jwtlet_store::{Backend, PostgresSettings, Store, StoreSettings};
use jwtlet_testkit::{Postgres, wait_until};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::task::JoinHandle;

/// When the author of [`author`] makes changes.
pub(crate) const THEN: Timestamp = Timestamp::constant(1_800_000_000, 123_456_000);
/// Longer than anything here should take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const CACHE_BYTES: u64 = 1 << 20;

/// A store whose background work runs as long as it lives.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    running: JoinHandle<()>,
    sql: Option<Sql>,
    _kept: Box<dyn Any + Send>,
}

/// The database behind a store, for those who write to it by hand.
enum Sql {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Fixture {
    pub(crate) async fn memory() -> Self {
        Self::start(Backend::Memory, None, ()).await
    }

    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwtlet.db");
        let sql = Sql::Sqlite(by_hand(&path));
        Self::start(Backend::Sqlite { path }, Some(sql), directory).await
    }

    pub(crate) async fn postgres() -> Self {
        let url = Postgres::shared().await.unwrap().database().await.unwrap();
        let sql = Sql::Postgres(sqlx::PgPool::connect_lazy(&url).unwrap());
        let settings = PostgresSettings::new(url.into()).unwrap();
        Self::start(Backend::Postgres(settings), Some(sql), ()).await
    }

    async fn start(backend: Backend, sql: Option<Sql>, kept: impl Any + Send) -> Self {
        let (store, running) = run(backend);
        ready(&store).await;
        Self { store, running, sql, _kept: Box::new(kept) }
    }

    /// Executes a statement by hand.
    pub(crate) async fn execute(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        match self.sql.as_ref().unwrap() {
            Sql::Sqlite(pool) => sqlx::raw_sql(statement).execute(pool).await.map(|_| ()),
            Sql::Postgres(pool) => sqlx::raw_sql(statement).execute(pool).await.map(|_| ()),
        }
    }

    /// Executes a statement by hand, as one who first does away with what keeps the trail as it is.
    pub(crate) async fn tamper(&self, statement: &'static str) {
        let unlock = match self.sql.as_ref().unwrap() {
            Sql::Sqlite(_) => "DROP TRIGGER audit_log_no_update; DROP TRIGGER audit_log_no_delete",
            Sql::Postgres(_) => "ALTER TABLE audit_log DISABLE TRIGGER USER",
        };
        self.execute(unlock).await.unwrap();
        self.execute(statement).await.unwrap();
    }

    /// A statement that gives a mapping of `a` for `t` one audience, which cannot be read.
    pub(crate) fn audiences_statement(&self) -> &'static str {
        match self.sql.as_ref().unwrap() {
            Sql::Sqlite(_) => {
                "UPDATE resource_mappings SET audiences = '[\"\"]' WHERE participant_context = 't'"
            }
            Sql::Postgres(_) => {
                "UPDATE resource_mappings SET audiences = '{\"\"}' WHERE participant_context = 't'"
            }
        }
    }

    pub(crate) async fn change(&self, changes: Vec<Change>) -> Result<Vec<Applied>, ChangeError> {
        self.store.change(changes, &author()).await
    }

    /// Creates resource mappings of client, participant context and scopes.
    pub(crate) async fn created(&self, mappings: &[(&str, &str, &[&str])]) {
        let create = |(client, context, scopes): &(&str, &str, &[&str])| {
            Change::CreateMapping(mapping(client, context, scopes))
        };
        self.change(mappings.iter().map(create).collect()).await.unwrap();
    }

    /// Creates scope mappings of scope and claims.
    pub(crate) async fn created_scopes(&self, scopes: &[(&str, Value)]) {
        let create =
            |(scope, claims): &(&str, Value)| Change::CreateScope(scope_mapping(scope, claims.clone()));
        self.change(scopes.iter().map(create).collect()).await.unwrap();
    }

    pub(crate) async fn look_up(&self, client: &str, context: &str, requested: &[&str]) -> Lookup {
        self.store.policy(&key(client, context), &scopes(requested), Freshness::Recent).await.unwrap()
    }

    /// Reads until the policy is remembered, and gives it.
    pub(crate) async fn remembered(&self, client: &str, context: &str, requested: &[&str]) -> Lookup {
        for _ in 0..1_000 {
            let lookup = self.look_up(client, context, requested).await;
            if lookup.freshness == Freshness::Recent {
                return lookup;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the policy of {client} for {context} is not remembered");
    }

    /// The keys of all resource mappings.
    pub(crate) async fn mappings(&self) -> Vec<String> {
        self.listed(MappingFilter::default(), Page::first(usize::MAX)).await
    }

    /// The keys of a page of the resource mappings that match.
    pub(crate) async fn listed(&self, filter: MappingFilter, page: Page<MappingKey>) -> Vec<String> {
        let listed = self.store.list_mappings(&filter, &page).await.unwrap();
        listed.iter().map(|stored| name(stored.record.key())).collect()
    }

    /// The actions and records of the whole trail, the oldest first.
    pub(crate) async fn trail(&self) -> Vec<String> {
        let page = self.store.audit(&AuditFilter::default(), &Page::first(usize::MAX)).await.unwrap();
        let text = |record: &AuditRecord| {
            let key = [&record.key.client_identifier, &record.key.participant_context, &record.key.scope];
            let key: Vec<_> = key.into_iter().flatten().cloned().collect();
            format!("{} {}", record.action.name(), key.join("/"))
        };
        page.iter().rev().map(text).collect()
    }

    /// Follows the whole chain, so many records at a time.
    pub(crate) async fn verify(&self, at_a_time: usize) -> Result<ChainHead, Broken> {
        let mut verifier = ChainVerifier::default();
        loop {
            let page = Page { after: Some(verifier.head().sequence), limit: at_a_time };
            let records = self.store.chain(&page).await.unwrap();
            for record in &records {
                verifier.follow(record)?;
            }
            if records.is_empty() {
                break;
            }
        }
        verifier.finish(self.store.chain_head().await.unwrap())?;
        Ok(verifier.head())
    }
}

/// A store and its background work.
pub(crate) fn run(backend: Backend) -> (Store, JoinHandle<()>) {
    let store = Store::open(StoreSettings { backend, policy_cache_bytes: CACHE_BYTES });
    let running = store.clone();
    (store, tokio::spawn(async move { running.run().await }))
}

pub(crate) async fn ready(store: &Store) {
    wait_until(|| store.health() == Health::Ready, PATIENCE).await.unwrap();
}

/// Connections of somebody else to the database of a store, which is created if need be.
pub(crate) fn by_hand(path: &Path) -> sqlx::SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    sqlx::SqlitePool::connect_lazy_with(options)
}

pub(crate) fn author() -> Author {
    author_at(THEN)
}

pub(crate) fn author_at(at: Timestamp) -> Author {
    let identity = client("system:serviceaccount:ops:admin");
    let subject = Subject { identity, uid: Some("uid-1".into()) };
    Author { subject, request_id: "request-1".into(), apply_id: None, at }
}

pub(crate) fn client(name: &str) -> ClientIdentifier {
    ClientIdentifier::parse(name).unwrap()
}

pub(crate) fn context(name: &str) -> ParticipantContext {
    ParticipantContext::parse(name).unwrap()
}

pub(crate) fn scope(name: &str) -> Scope {
    Scope::parse(name).unwrap()
}

pub(crate) fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().copied().map(scope).collect()
}

pub(crate) fn key(client_name: &str, context_name: &str) -> MappingKey {
    MappingKey { client_identifier: client(client_name), participant_context: context(context_name) }
}

pub(crate) fn name(key: &MappingKey) -> String {
    format!("{}/{}", key.client_identifier, key.participant_context)
}

pub(crate) fn mapping(client: &str, context: &str, granted: &[&str]) -> ResourceMapping {
    let audiences = vec![Audience::parse("aud").unwrap()];
    ResourceMapping::new(key(client, context), scopes(granted), audiences).unwrap()
}

pub(crate) fn scope_mapping(name: &str, claims: Value) -> ScopeMapping {
    let rules = ClaimRules::new("pc".into(), [].into()).unwrap();
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    ScopeMapping::new(scope(name), claims, &rules).unwrap()
}

pub(crate) fn create(client: &str, context: &str) -> Change {
    Change::CreateMapping(mapping(client, context, &[]))
}

pub(crate) fn replace(mapping: ResourceMapping) -> Change {
    Change::ReplaceMapping(mapping, Precondition::None)
}

pub(crate) fn delete(client: &str, context: &str) -> Change {
    Change::DeleteMapping(key(client, context), Precondition::None)
}
