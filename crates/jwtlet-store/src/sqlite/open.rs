//! Opening a SQLite database, and bringing its schema up to date.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Executor, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{error::StoreError, state::Connections};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for the lock of another process, and a call for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// Reads do not wait for writes, nor for each other up to so many.
const READ_CONNECTIONS: u32 = 4;

/// The connections to an open database.
#[derive(Debug)]
pub(super) struct Pools {
    /// The one connection that writes: SQLite has one writer at a time, and who waits here is served in turn.
    pub(super) write: SqlitePool,
    /// The connections that read.
    pub(super) read: SqlitePool,
    /// How many connections have written so far; the one that does now is the last of them.
    pub(super) write_connections: Arc<AtomicU64>,
}

impl Pools {
    /// The connections that are open. In memory, one connection does everything.
    pub(super) fn connections(&self) -> Connections {
        let pools = if self.read.options().get_max_connections() == 1 {
            vec![&self.write]
        } else {
            vec![&self.write, &self.read]
        };
        pools.into_iter().fold(Connections::default(), |sum, pool| {
            let (open, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
            Connections {
                busy: sum.busy + open.saturating_sub(idle),
                idle: sum.idle + idle,
                max: sum.max + u64::from(pool.options().get_max_connections()),
            }
        })
    }
}

/// Opens a database in a file, which is created if need be.
pub(super) async fn open_file(path: &Path) -> Result<Pools, StoreError> {
    create(path.to_owned()).await?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(WAIT);
    let (write, write_connections) = open_write(options.clone()).await?;
    let read = pool_options()
        .max_connections(READ_CONNECTIONS)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools { write, read, write_connections })
}

/// Opens a database in memory. It lives as long as its one connection, so that one is never closed.
pub(super) async fn open_memory() -> Result<Pools, StoreError> {
    let (write, write_connections) = open_write(SqliteConnectOptions::new()).await?;
    Ok(Pools { read: write.clone(), write, write_connections })
}

/// The file is readable by its owner only, and so are the files that SQLite puts beside it.
async fn create(path: PathBuf) -> Result<(), StoreError> {
    let create = move || {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.map(drop).map_err(|cause| StoreError::File { path, cause })
    };
    tokio::task::spawn_blocking(create).await.map_err(StoreError::GivenUp)?
}

async fn open_write(options: SqliteConnectOptions) -> Result<(SqlitePool, Arc<AtomicU64>), StoreError> {
    let connections = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&connections);
    let pool = pool_options()
        .max_connections(1)
        .after_connect(move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        })
        .after_release(|connection, _| Box::pin(roll_back(connection)))
        .connect_with(options)
        .await?;
    let migrated = async { migrate(&mut *pool.acquire().await?).await }.await;
    if migrated.is_err() {
        pool.close().await;
    }
    migrated.map(|()| (pool, connections))
}

/// No connection is closed for its age.
fn pool_options() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Ends the transaction that somebody left open. Usually there is none, and SQLite says so; it has also ended one by
/// itself that it could not go on with, for want of space.
async fn roll_back(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    match connection.execute("ROLLBACK").await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let found = newest_migration(connection).await?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    MIGRATOR.run_direct(None, connection, false).await.map_err(StoreError::Migration)
}

/// The version of the newest migration that was made; 0 for none.
async fn newest_migration(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let is_new: bool =
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')")
            .fetch_one(&mut *connection)
            .await?;
    if is_new {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?)
}
