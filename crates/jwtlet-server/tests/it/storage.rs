//! SQLite behind the ports: policy outlives the process, and a database that is away is an outage that ends by itself.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use jwtlet_testkit::{Kubernetes, Vault, wait_until};
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    fleet::{Storage, sqlite},
    harness::{CONNECTOR, Harness, PATIENCE},
    management::{mapping, scope},
};

/// A ready server with its policy in this file.
pub(crate) async fn start_on(path: &Path) -> Harness {
    let storage = sqlite(path);
    Harness::start_with(&variables(&storage)).await
}

fn variables(storage: &Storage) -> Vec<(&str, &str)> {
    storage.iter().map(|(name, value)| (*name, &**value)).collect()
}

async fn stop(server: Harness) {
    server.stop.cancel();
    server.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn policy_and_trail_outlive_the_process() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("policy.db");
    let server = start_on(&path).await;
    server.map(CONNECTOR, "acme", &["read"], &[]).await;
    server.map_scope("read", json!({"role": "reader"})).await;
    assert_eq!(server.call(Method::PUT, "/scopes/none", Some(&scope("none"))).await.status, 404);
    let before = (server.records("/mappings").await, server.records("/scopes").await, server.trail().await);
    stop(server).await;

    let server = start_on(&path).await;
    let after = (server.records("/mappings").await, server.records("/scopes").await, server.trail().await);
    assert_eq!(before, after);
    assert_eq!(server.verdict("").await["records"], 3);
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read")]).await;
    assert_eq!(answer.claims()["role"], "reader");
    server.map("other", "acme", &[], &[]).await;
    assert_eq!(server.verdict("").await["intact"], true);
}

#[tokio::test]
async fn what_is_deleted_or_narrowed_counts_with_the_next_exchange() {
    let files = tempfile::tempdir().unwrap();
    let server = start_on(&files.path().join("policy.db")).await;
    server.map(CONNECTOR, "acme", &["read", "write"], &[]).await;
    let path = format!("/mappings/{CONNECTOR}/acme");
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "write")]).await.status, 200);
    server.call(Method::PUT, &path, Some(&mapping(CONNECTOR, "acme"))).await;
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "write")]).await.status, 403);
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "read")]).await.status, 200);
    server.call(Method::DELETE, &path, None).await;
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "read")]).await.status, 403);
}

/// Runs SQL on a database file beside the server, as a person with a shell would.
pub(crate) async fn by_hand(path: &Path, sql: &'static str) {
    let mut shell =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut shell).await.unwrap();
    shell.close().await.unwrap();
}

#[tokio::test]
async fn a_change_by_hand_counts_within_a_second() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("policy.db");
    let server = start_on(&path).await;
    server.map(CONNECTOR, "acme", &["read"], &[]).await;
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "read")]).await.status, 200);
    by_hand(&path, "UPDATE resource_mappings SET scopes = '[]'").await;
    let changed = Instant::now();
    let asked = loop {
        let asked = Instant::now();
        if server.exchange(&[("resource", "acme"), ("scope", "read")]).await.status == 403 {
            break asked;
        }
        assert!(changed.elapsed() < PATIENCE);
    };
    assert!(asked - changed < Duration::from_secs(1), "{:?}", asked - changed);
    let record = server.call(Method::GET, &format!("/mappings/{CONNECTOR}/acme"), None).await;
    assert_eq!((&record.json()["scopes"], &record.json()["version"]), (&json!([]), &json!(2)));
}

#[tokio::test]
async fn a_trail_that_was_tampered_with_is_broken_where_that_was_done() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("policy.db");
    let server = start_on(&path).await;
    server.create_many(5).await;
    let noted = server.verdict("").await["head"]["hash"].as_str().unwrap().to_owned();
    by_hand(
        &path,
        "DROP TRIGGER audit_log_no_update;
         UPDATE audit_log SET record = replace(record, 'client-02', 'client-99') WHERE sequence = 3",
    )
    .await;
    let altered = json!({"sequence": 3, "reason": "record 3 was altered: its text does not have its hash"});
    let verdict = server.verdict("").await;
    assert_eq!((&verdict["intact"], &verdict["records"]), (&json!(false), &json!(2)));
    assert_eq!(verdict["firstBroken"], altered);
    by_hand(&path, "DROP TRIGGER audit_log_no_delete; DELETE FROM audit_log WHERE sequence >= 3").await;
    let cut =
        json!({"sequence": 3, "reason": "the trail ends with record 2, but the stored head is record 5"});
    assert_eq!(server.verdict("").await["firstBroken"], cut);
    by_hand(
        &path,
        "UPDATE audit_head SET sequence = 2, hash = (SELECT hash FROM audit_log WHERE sequence = 2)",
    )
    .await;
    // Cut together with its head, it looks whole; a head that was noted elsewhere tells.
    assert_eq!(server.verdict("").await["intact"], true);
    let verdict = server.verdict(&format!("?sequence=5&hash={noted}")).await;
    assert_eq!(verdict["firstBroken"], json!({"sequence": 3, "reason": "record 3 is missing"}));
}

#[tokio::test]
async fn a_mapping_grants_until_its_end_and_stays_visible() {
    let server = Harness::start().await;
    let path = format!("/mappings/{CONNECTOR}/acme");
    let mut ending = mapping(CONNECTOR, "acme");
    #[expect(clippy::disallowed_methods, reason = "the server reads the same clock")]
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    ending["expiresAt"] = json!(end);
    assert_eq!(server.call(Method::POST, "/mappings", Some(&ending)).await.status, 201);
    assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 200);
    let has_ended = async || server.exchange(&[("resource", "acme")]).await.status == 403;
    jwtlet_testkit::wait_for(has_ended, PATIENCE).await.unwrap();
    let refused = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(refused.json()["error"], "unauthorized_client");
    assert!(refused.body.contains("expired at"), "{refused}");
    let record = server.call(Method::GET, &path, None).await.json();
    assert_eq!((&record["scopes"], &record["version"]), (&json!(["read"]), &json!(1)));
    server.call(Method::PUT, &path, Some(&mapping(CONNECTOR, "acme"))).await;
    assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 200);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_outage_until_it_can() {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("not-mounted-yet");
    let storage = sqlite(&directory.join("policy.db"));
    let (kubernetes, vault) = (Kubernetes::start().await.unwrap(), Vault::start().await.unwrap());
    let server = Harness::launch(kubernetes, vault, &variables(&storage)).await;
    let url = format!("{}/readyz", server.management);
    let only_the_store = async || {
        let body = server.http.get(&url).send().await.unwrap().text().await.unwrap();
        body.starts_with("the policy store: not ready: ") && body.lines().count() == 1
    };
    jwtlet_testkit::wait_for(only_the_store, PATIENCE).await.unwrap();
    assert_eq!(server.get("/readyz").await.body, "the policy store: not ready\n");
    let exchange = server.exchange(&[("resource", "acme")]).await;
    assert_eq!((exchange.status, exchange.header("retry-after")), (503, Some("1")), "{exchange}");
    assert_eq!(exchange.json()["error"], "temporarily_unavailable");
    insta::assert_snapshot!(server.call(Method::POST, "/scopes", Some(&scope("read"))).await, @r#"
    503
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 1
    {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the policy store does not answer; try again"}
    "#);
    for path in ["/mappings", "/scopes/read", "/audit", "/audit/verify", "/lint"] {
        assert_eq!(server.call(Method::GET, path, None).await.status, 503, "{path}");
    }
    // What is refused is refused also when that cannot be recorded.
    assert_eq!(server.call(Method::POST, "/scopes", Some(&json!({}))).await.status, 400);
    fs::create_dir(&directory).unwrap();
    server.wait_until_ready().await;
    assert_eq!(server.call(Method::POST, "/scopes", Some(&scope("read"))).await.status, 201);
    wait_until(|| directory.join("policy.db").exists(), PATIENCE).await.unwrap();
}
