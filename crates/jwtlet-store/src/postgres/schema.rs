//! The schema, and bringing it up to date.

use std::sync::LazyLock;

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, migrate::Migrator, postgres::PgConnectOptions,
};

use super::lease::limited;
use crate::error::StoreError;

/// What was done is noted in a table of our own: the database may be shared with a program that uses the usual one.
static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.dangerous_set_table_name("jwtlet_migrations");
    migrator
});

/// An index of many rows takes its time. A lock does not: while a change of a table waits for it, readers wait behind.
const LIMITS: &str = "SET statement_timeout = 0; SET lock_timeout = '2s'";

/// Brings the schema up to date, or only checks whether it is. The role needs no right to change a schema that is.
pub(super) async fn prepare(options: &PgConnectOptions, may_migrate: bool) -> Result<(), StoreError> {
    let mut connection = limited(options.connect()).await?;
    let outcome = bring_up_to_date(&mut connection, may_migrate).await;
    // A migration that failed leaves its lock to the end of the connection.
    limited(connection.close()).await?;
    outcome
}

async fn bring_up_to_date(connection: &mut PgConnection, may_migrate: bool) -> Result<(), StoreError> {
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let found = limited(newest_migration(connection)).await?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    if !may_migrate {
        return Err(StoreError::TooOld { found, needed: known });
    }
    limited(connection.execute(LIMITS)).await?;
    MIGRATOR.run_direct(None, connection, false).await.map_err(StoreError::Migration)
}

/// The version of the newest migration that was made; 0 for none.
async fn newest_migration(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let is_new: bool = sqlx::query_scalar("SELECT to_regclass('jwtlet_migrations') IS NULL")
        .fetch_one(&mut *connection)
        .await?;
    if is_new {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM jwtlet_migrations").fetch_one(connection).await
}
