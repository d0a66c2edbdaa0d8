//! Replicas of jwtlet on PostgreSQL databases, and those who write to them by hand.

use std::{ops::Deref, time::Duration};

use jwtlet_core::{
    PolicyStore, UpstreamError,
    health::Health,
    mapping::MappingKey,
    store::{Freshness, Lookup},
    upstream::System,
};
use jwtlet_store::{Backend, PostgresSettings, Store};
use jwtlet_testkit::{Postgres, wait_for, wait_until};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::fixture::{PATIENCE, ready, run, scopes};

/// How long a deletion or a narrowing may go unnoticed by another replica.
pub(crate) const BOUND: Duration = Duration::from_secs(1);

/// A database of its own on a server.
pub(crate) struct Database<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) url: String,
}

impl Database<'static> {
    /// On the server that most tests share.
    pub(crate) async fn shared() -> Self {
        Self::on(Postgres::shared().await.unwrap()).await
    }
}

impl<'a> Database<'a> {
    pub(crate) async fn on(postgres: &'a Postgres) -> Self {
        Self { postgres, url: postgres.database().await.unwrap() }
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresSettings::new(self.url.clone().into()).unwrap()
    }

    /// A replica that is ready.
    pub(crate) async fn replica(&self) -> Replica {
        let replica = Replica::start(self.settings());
        ready(&replica).await;
        replica
    }

    /// A connection of the superuser.
    pub(crate) async fn admin(&self) -> PgConnection {
        self.postgres.admin(&self.url).await.unwrap()
    }

    /// Executes statements as the superuser.
    pub(crate) async fn execute(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(&mut self.admin().await).await.unwrap();
    }

    /// Counts, as the superuser.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut self.admin().await).await.unwrap()
    }
}

/// A store whose background work runs as long as it lives.
pub(crate) struct Replica {
    store: Store,
    running: JoinHandle<()>,
}

impl Deref for Replica {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Replica {
    /// One that is not ready yet.
    pub(crate) fn start(settings: PostgresSettings) -> Self {
        let (store, running) = run(Backend::Postgres(settings));
        Self { store, running }
    }

    pub(crate) async fn look_up(&self, key: &MappingKey) -> Lookup {
        self.policy(key, &[], Freshness::Recent).await.unwrap()
    }

    /// The scopes that the policy grants; `None` without a policy.
    pub(crate) async fn granted(&self, key: &MappingKey) -> Option<Vec<String>> {
        let policy = self.look_up(key).await.policy?;
        Some(policy.mapping().scopes().iter().map(ToString::to_string).collect())
    }

    /// Waits until the policy is answered from memory.
    pub(crate) async fn remembers(&self, key: &MappingKey) {
        let remembers = async || self.look_up(key).await.freshness == Freshness::Recent;
        wait_for(remembers, PATIENCE).await.unwrap();
    }

    /// Waits until the policy grants exactly this, as long as a change may go unnoticed.
    pub(crate) async fn soon_grants(&self, key: &MappingKey, granted: Option<&[&str]>) {
        let granted = granted.map(|names| scopes(names).iter().map(ToString::to_string).collect());
        let grants = async || self.granted(key).await == granted;
        wait_for(grants, BOUND).await.unwrap();
    }

    /// Waits until the replica is not ready, and gives the reason.
    pub(crate) async fn not_ready(&self) -> String {
        let not_ready = || matches!(self.health(), Health::NotReady(reason) if reason != "not reached yet");
        wait_until(not_ready, PATIENCE).await.unwrap();
        let Health::NotReady(reason) = self.health() else { panic!("ready again") };
        reason.into_owned()
    }
}

/// Whether it is an outage of the store, which the server answers with 503.
pub(crate) fn is_outage(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Unavailable { system: System::Store, .. })
}
