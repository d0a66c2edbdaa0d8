//! Why a store could not do its part. Always ours, never the caller's.

use jwtlet_core::{UpstreamError, upstream::System};

/// A failure of the database, or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach, too slow, full, or refused a statement.
    #[error("the database did not do as asked")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema of the database could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database was written by a newer jwtlet.
    #[error(
        "the schema of the database has version {found}, and this jwtlet knows versions up to {known}; deploy the newer jwtlet"
    )]
    TooNew {
        /// The newest version that was applied to the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The schema is older than this program needs, and it may not change it.
    #[error(
        "the schema of the database has version {found}, this jwtlet needs version {needed}, and run_migrations_on_startup is off"
    )]
    TooOld {
        /// The newest version that was applied to the database; 0 for none.
        found: i64,
        /// The version that is needed.
        needed: i64,
    },
    /// A record cannot be written as JSON.
    #[error("a record cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The database is not ready yet.
    #[error("the database has not been reached yet")]
    NotReady,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for UpstreamError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(System::Store, error)
    }
}
