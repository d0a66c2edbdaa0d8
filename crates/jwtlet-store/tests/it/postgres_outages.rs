//! A database that is away, slow, or cut off: every call ends in time, and nothing has to be restarted.

use std::time::Duration;

use jwtlet_core::{PolicyStore, change::ChangeError, health::Health, store::Freshness};
use jwtlet_store::PostgresSettings;
use jwtlet_testkit::{Postgres, wait_for};
use tokio::time::timeout;

use crate::{
    fixture::{author, create, key, ready},
    postgres::{Database, Replica, is_outage},
};

const AWAY: &str = "the database cannot be reached; the log says why";
/// Waiting for a connection, or for an answer, and some time for a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

fn impatient(database: &Database<'_>) -> PostgresSettings {
    let mut settings = database.settings();
    settings.acquire_timeout = Duration::from_secs(1);
    settings
}

/// That a read and a write fail as outages, in time.
async fn fails(replica: &Replica) {
    let read = timeout(LIMIT, replica.policy(&key("a", "t"), &[], Freshness::Recent)).await.unwrap();
    assert!(is_outage(&read.unwrap_err()));
    let written = timeout(LIMIT, replica.change(vec![create("x", "t")], &author())).await.unwrap();
    assert!(matches!(written, Err(ChangeError::Upstream(error)) if is_outage(&error)));
}

#[tokio::test]
async fn a_database_that_stops_and_comes_back_needs_no_restart_of_the_store() {
    let postgres = Postgres::start().await.unwrap();
    let database = Database::on(&postgres).await;
    let replica = Replica::start(impatient(&database));
    ready(&replica).await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    replica.remembers(&key("a", "t")).await;
    for _ in 0..2 {
        postgres.stop();
        assert_eq!(replica.not_ready().await, AWAY);
        fails(&replica).await;
        postgres.restart().await.unwrap();
        ready(&replica).await;
        replica.remembers(&key("a", "t")).await;
    }
    replica.change(vec![create("b", "t")], &author()).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM resource_mappings").await, 2);
}

#[tokio::test]
async fn a_restart_that_nobody_notices_fails_no_request() {
    let postgres = Postgres::start().await.unwrap();
    let database = Database::on(&postgres).await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    postgres.restart().await.unwrap();
    // The connections in the pool are dead, and found to be so before they are used.
    assert!(replica.granted(&key("a", "t")).await.is_some());
    replica.change(vec![create("b", "t")], &author()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_waited_for() {
    let postgres = Postgres::start().await.unwrap();
    let database = Database::on(&postgres).await;
    postgres.stop();
    let replica = Replica::start(impatient(&database));
    assert_eq!(replica.not_ready().await, AWAY);
    fails(&replica).await;
    postgres.restart().await.unwrap();
    ready(&replica).await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
}

#[tokio::test]
async fn calls_to_a_frozen_database_end_in_time() {
    let postgres = Postgres::start().await.unwrap();
    let database = Database::on(&postgres).await;
    for test_before_acquire in [true, false] {
        let mut settings = impatient(&database);
        settings.test_before_acquire = test_before_acquire;
        let replica = Replica::start(settings);
        ready(&replica).await;
        let created = create("a", if test_before_acquire { "t" } else { "u" });
        replica.change(vec![created], &author()).await.unwrap();
        replica.remembers(&key("a", "t")).await;

        postgres.pause().unwrap();
        // What is remembered ends with the trust in it.
        assert_eq!(replica.not_ready().await, AWAY);
        fails(&replica).await;
        postgres.resume().unwrap();
        ready(&replica).await;
        replica.remembers(&key("a", "t")).await;
        assert_eq!(replica.health(), Health::Ready);
    }
}

#[tokio::test]
async fn connections_that_do_not_answer_are_replaced() {
    let database = Database::shared().await;
    let mut settings = impatient(&database);
    settings.max_connections = 1;
    let replica = Replica::start(settings);
    ready(&replica).await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    let frozen = database.postgres.freeze(&database.url, "jwtlet").await.unwrap();
    assert!(!frozen.processes().is_empty());
    // The place of the frozen connection is free again after the first failure.
    let served = async || replica.policy(&key("a", "t"), &[], Freshness::Current).await.is_ok();
    wait_for(served, LIMIT).await.unwrap();
    frozen.thaw().unwrap();
}
