//! Faults of the policy store, and the alerts that tell of them.

use std::path::Path;

use jwtlet_testkit::Postgres;
use reqwest::Method;
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{alerts::provoked, harness::CONNECTOR, neighbours::healthy};

provoked! {
    the_store_is_away: "JwtletStoreUnavailable" by store_unavailable;
    the_feed_is_down: "JwtletStoreFeedDown" by feed_down;
    the_pool_is_exhausted: "JwtletStorePoolExhausted" by pool_exhausted;
    the_trail_is_broken: "JwtletAuditTrailBroken" by trail_broken;
    refused_attempts_are_not_recorded: "JwtletAuditRecordsLost" by records_lost;
}

/// The variables of a server with this database.
fn postgres(url: &str) -> [(&str, &str); 2] {
    [("JWTLET__STORAGE_BACKEND__TYPE", "postgres"), ("JWTLET__STORAGE_BACKEND__URL", url)]
}

async fn store_unavailable(alert: &str) {
    let database = Postgres::start().await.unwrap();
    let url = database.database().await.unwrap();
    let (server, prometheus) = healthy(alert, &postgres(&url)).await;
    database.stop();
    server.wait_until_not_ready().await;
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn feed_down(alert: &str) {
    let database = Postgres::start().await.unwrap();
    let url = database.database().await.unwrap();
    let (_server, prometheus) = healthy(alert, &postgres(&url)).await;
    let _frozen = database.freeze(&url, "jwtlet feed").await.unwrap();
    prometheus.wait_for(alert).await;
}

async fn pool_exhausted(alert: &str) {
    let database = Postgres::start().await.unwrap();
    let url = database.database().await.unwrap();
    let [kind, place] = postgres(&url);
    let (server, prometheus) =
        healthy(alert, &[kind, place, ("JWTLET__STORAGE_BACKEND__POOL__MAX_CONNECTIONS", "2")]).await;
    let mut admin = database.admin(&url).await.unwrap();
    admin.execute("BEGIN; LOCK TABLE resource_mappings IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // Both connections wait for the lock.
    let exchange = || server.exchange(&[("resource", "globex")]);
    tokio::select! {
        () = prometheus.wait_for(alert) => {}
        (answer, _) = async { tokio::join!(exchange(), exchange()) } => panic!("{answer}"),
    }
}

async fn trail_broken(alert: &str) {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("policy.db");
    let place = path.display().to_string();
    let storage = [("JWTLET__STORAGE_BACKEND__TYPE", "sqlite"), ("JWTLET__STORAGE_BACKEND__PATH", &place)];
    let (server, prometheus) = healthy(alert, &storage).await;
    let verify = || server.manage(Method::GET, "/audit/verify", "reader", None);
    assert_eq!(verify().await.json()["intact"], true);
    assert!(!prometheus.firing().await.iter().any(|name| name == alert));
    by_hand(&path, "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET hash = record").await;
    assert_eq!(verify().await.json()["intact"], false);
    prometheus.wait_for(alert).await;
}

async fn by_hand(path: &Path, statements: &'static str) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(statements).await.unwrap();
    connection.close().await.unwrap();
}

async fn records_lost(alert: &str) {
    let database = Postgres::start().await.unwrap();
    let url = database.database().await.unwrap();
    let (server, prometheus) = healthy(alert, &postgres(&url)).await;
    database.stop();
    let path = format!("/mappings/{CONNECTOR}/acme");
    assert_eq!(server.manage(Method::DELETE, &path, "reader", None).await.status, 403);
    prometheus.wait_for(alert).await;
}
