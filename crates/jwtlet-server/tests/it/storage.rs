//! SQLite behind the ports: policy outlives the process, and a database that is away is an outage that ends by itself.

use std::{fs, path::Path};

use jwtlet_testkit::{Kubernetes, Vault, wait_until};
use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{CONNECTOR, Harness, PATIENCE},
    management::{mapping, scope},
};

/// Variables for a SQLite database in this file.
fn in_file(path: &Path) -> [(&'static str, String); 2] {
    [
        ("JWTLET__STORAGE_BACKEND__TYPE", "sqlite".into()),
        ("JWTLET__STORAGE_BACKEND__PATH", path.display().to_string()),
    ]
}

async fn start_on(path: &Path) -> Harness {
    let variables = in_file(path);
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    Harness::start_with(&variables).await
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
    let variables = in_file(&directory.join("policy.db"));
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    let server =
        Harness::launch(Kubernetes::start().await.unwrap(), Vault::start().await.unwrap(), &variables).await;
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
