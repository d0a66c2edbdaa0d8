//! Why a store could not do its part. Always ours, never the caller's.

use std::{borrow::Cow, path::PathBuf};

use jwtlet_core::{UpstreamError, upstream::System};
use jwtlet_upstream::Failure;

/// A failure of the database, or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach, too slow, full, or refused a statement.
    #[error("the database did not do as asked")]
    Database(#[source] sqlx::Error),
    /// The file of the database cannot be opened or created.
    #[error("the database file {} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
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
    /// The change was given up: the process is about to end.
    #[error("the change was given up")]
    GivenUp(#[source] tokio::task::JoinError),
}

impl StoreError {
    /// Why the store cannot be used, for the readiness probe: without names and addresses, which are in the log. `None`
    /// when it tells nothing new about the database.
    pub(crate) fn reason(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Database(_) => Some("the database cannot be reached; the log says why".into()),
            Self::File { .. } => Some("the database file cannot be opened; the log says why".into()),
            Self::Migration(_) => {
                Some("the schema of the database cannot be brought up to date; the log says why".into())
            }
            Self::TooNew { .. } | Self::TooOld { .. } => Some(self.to_string().into()),
            Self::Json(_) | Self::NotReady | Self::GivenUp(_) => None,
        }
    }

    /// What it counts as. A transaction that lost against another one is no failure of the database.
    pub(crate) fn failure(&self) -> Option<Failure> {
        /// Codes of PostgreSQL for a login that it refuses, and for rights that are missing.
        const CREDENTIALS: [&str; 3] = ["28000", "28P01", "42501"];
        match self {
            _ if self.is_conflict() => None,
            Self::Database(sqlx::Error::PoolTimedOut) => Some(Failure::TimedOut),
            Self::Database(sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                Some(Failure::TimedOut)
            }
            Self::Database(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| CREDENTIALS.contains(&&*code)) =>
            {
                Some(Failure::Credentials)
            }
            Self::Database(sqlx::Error::Database(_)) | Self::Json(_) => Some(Failure::Unexpected),
            Self::Database(_) | Self::File { .. } => Some(Failure::Unreachable),
            Self::Migration(_)
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::NotReady
            | Self::GivenUp(_) => Some(Failure::Unavailable),
        }
    }

    /// Whether a transaction lost against another one, and may succeed when it is made again. That a row exists which
    /// did not a moment ago is of this kind: somebody else wrote to the tables.
    pub(crate) fn is_conflict(&self) -> bool {
        const SERIALIZATION_FAILURE: &str = "40001";
        const DEADLOCK: &str = "40P01";
        const UNIQUE_VIOLATION: &str = "23505";
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| [SERIALIZATION_FAILURE, DEADLOCK, UNIQUE_VIOLATION].contains(&&*code))
    }
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
