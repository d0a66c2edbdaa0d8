//! Changes that other processes make to the file: by hand, with a SQLite shell.
//!
//! SQLite counts for each connection the commits of all others (`PRAGMA data_version`). All writes of this process go
//! through one connection, so what that connection sees counted was written by somebody else.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::open::Pools;
use crate::{cache::PolicyCache, error::StoreError, health::StoreHealth};

/// How often the file is asked.
const PERIOD: Duration = Duration::from_millis(250);
/// How long remembered policy is used after the file was last asked. With the time until the next answer it has to stay
/// below the second after which a deletion counts everywhere.
const TRUST: Duration = Duration::from_millis(800);

/// Tells one moment of the database from another, as far as others made a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Foreign {
    /// Counts of different connections cannot be compared.
    connection: u64,
    commits: i64,
}

/// Watches the file and whether it can be read, for ever.
pub(super) async fn watch(pools: &Pools, cache: &PolicyCache, health: &StoreHealth) {
    tokio::join!(follow(pools, cache), probe(pools, health));
}

/// Forgets everything that was remembered when somebody else wrote to the file. A long write of our own keeps the
/// connection busy; then remembered policy is not used until it is done.
async fn follow(pools: &Pools, cache: &PolicyCache) {
    let mut known = None;
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        let asked_at = Instant::now();
        match timeout(TRUST, foreign(pools)).await {
            Ok(Ok(found)) => {
                if known.replace(found) != Some(found) {
                    cache.clear();
                }
                cache.trust_until(asked_at + TRUST);
            }
            Ok(Err(_)) => cache.distrust(),
            Err(_) => {}
        }
    }
}

async fn foreign(pools: &Pools) -> Result<Foreign, StoreError> {
    let mut connection = pools.write.acquire().await?;
    let commits = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *connection).await?;
    Ok(Foreign { connection: pools.write_connections.load(Ordering::Relaxed), commits })
}

/// Reads a little, so that an outage shows and ends without requests.
async fn probe(pools: &Pools, health: &StoreHealth) {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        let outcome = sqlx::query("SELECT sequence FROM audit_head").fetch_optional(&pools.read).await;
        match outcome {
            Ok(_) => health.succeeded(),
            Err(error) => health.failed(&error.into()),
        }
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
