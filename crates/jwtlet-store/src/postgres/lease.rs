//! Connections, lent to one call at a time, and never for longer than a limit.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    Executor, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::settings::PostgresSettings;
use crate::error::StoreError;

/// How long an answer may take. Longer than the limits that the server itself keeps, which give the better message; a
/// server that is frozen or out of reach keeps none.
const LIMIT: Duration = Duration::from_secs(6);
/// The limits that the server keeps. The last one is for a replica that stops in the middle of a transaction: it holds the
/// lock that all writers wait for.
const SERVER_LIMITS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '5s'";

/// A pool that has no connection yet.
pub(super) fn pool(settings: &PostgresSettings, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(settings.idle_timeout)
        .max_lifetime(settings.max_lifetime)
        .test_before_acquire(settings.test_before_acquire)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SERVER_LIMITS).await.map(drop) })
        })
        .connect_lazy_with(options)
}

/// The answer, or an error when it takes too long.
pub(super) async fn limited<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(LIMIT, answer).await.unwrap_or_else(|_| Err(no_answer()))
}

pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))
}

/// A connection of the pool. It goes back only if the server has answered everything: the pool would wait for the rest
/// without a limit, and keep the place of the connection as long. Otherwise it is closed.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    /// Something was asked, and its answer is not complete.
    is_asked: bool,
}

impl Lease {
    pub(super) async fn of(pool: &PgPool) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(pool.acquire().await?), is_asked: false })
    }

    /// Takes note of the outcome of what was asked.
    pub(super) fn answered<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.is_asked = !matches!(outcome, Ok(_) | Err(sqlx::Error::Database(_)));
        Ok(outcome?)
    }

    /// Whether the connection can be used further.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_asked
    }
}

#[expect(clippy::expect_used, reason = "the connection is taken when the lease is dropped, and not before")]
impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("there until it is dropped")
    }
}

#[expect(clippy::expect_used, reason = "the connection is taken when the lease is dropped, and not before")]
impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.is_asked = true;
        self.connection.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.is_asked) {
            drop(connection.detach());
        }
    }
}
