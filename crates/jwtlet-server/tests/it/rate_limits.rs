//! How often a source and a client may ask.

use jwtlet_testkit::wait_for;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::{Answer, CONNECTOR, Harness, PATIENCE};

const SOURCE: &str = "JWTLET__LIMITS__SOURCE_REQUESTS_PER_SECOND";
const SOURCE_BURST: &str = "JWTLET__LIMITS__SOURCE_BURST";
const CLIENT: &str = "JWTLET__LIMITS__CLIENT_REQUESTS_PER_SECOND";
const CLIENT_BURST: &str = "JWTLET__LIMITS__CLIENT_BURST";
const PROXIES: &str = "JWTLET__LIMITS__TRUSTED_PROXIES";

/// A request for the keys that some proxy passes on.
fn keys(server: &Harness, forwarded_for: &str) -> RequestBuilder {
    let url = format!("{}/.well-known/jwks.json", server.exchange);
    server.http.get(url).header("x-forwarded-for", forwarded_for)
}

async fn status(request: RequestBuilder) -> u16 {
    Answer::of(request).await.status
}

/// The first answer that says to wait, and that it cost none of what is counted.
async fn limited(ask: impl AsyncFn() -> Answer, count: impl Fn() -> u64) -> Answer {
    loop {
        let before = count();
        let answer = ask().await;
        if answer.status == 429 {
            assert_eq!(count(), before, "{answer}");
            return answer;
        }
    }
}

/// Asks until this source is limited.
async fn exhaust(server: &Harness, forwarded_for: &str) {
    let limited = async || status(keys(server, forwarded_for)).await == 429;
    wait_for(limited, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_source_that_asks_too_often_is_told_to_wait_and_nothing_is_verified() {
    let server = Harness::start_with(&[(SOURCE, "1"), (SOURCE_BURST, "2")]).await;
    let reviews = || server.kubernetes.reviews();
    let answer = limited(async || server.exchange(&[("resource", "acme")]).await, reviews).await;
    insta::assert_snapshot!(answer, @r#"
    429
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    retry-after: 1
    {"error":"temporarily_unavailable","error_description":"too many requests from this address; wait"}
    "#);
    let call = async || server.manage(Method::GET, "/mappings", "admin", None).await;
    let answer = limited(call, reviews).await;
    insta::assert_snapshot!(answer, @r#"
    429
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 1
    {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"too many requests from this address; wait"}
    "#);
}

#[tokio::test]
async fn probes_are_never_limited() {
    let server = Harness::start_with(&[(SOURCE, "1")]).await;
    exhaust(&server, "").await;
    for path in ["/livez", "/health", "/readyz"].repeat(10) {
        assert_eq!(server.get(path).await.status, 200);
    }
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_answered() {
    let server = Harness::start_with(&[(SOURCE, "1")]).await;
    exhaust(&server, "").await;
    wait_for(async || status(keys(&server, "")).await == 200, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_a_stranger_says_about_its_source_does_not_count() {
    let server = Harness::start_with(&[(SOURCE, "1")]).await;
    for turn in 0..100 {
        if status(keys(&server, &format!("198.51.100.{turn}"))).await == 429 {
            return;
        }
    }
    panic!("a made-up address is a way around the limit");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_source_has_a_limit_of_its_own() {
    let server = Harness::start_with(&[(SOURCE, "1"), (PROXIES, "127.0.0.0/8,10.0.0.0/8")]).await;
    exhaust(&server, "198.51.100.1").await;
    assert_eq!(status(keys(&server, "198.51.100.2")).await, 200);
    // What the client put before the address that the proxies added does not help it.
    exhaust(&server, "198.51.100.1, 10.1.2.3").await;
    exhaust(&server, "203.0.113.7, 198.51.100.1").await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_wait_after_it_was_verified() {
    let server = Harness::start_with(&[(CLIENT, "1"), (CLIENT_BURST, "3")]).await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    let exchange = async || server.exchange(&[("resource", "acme")]).await;
    let answer = limited(exchange, || server.vault.signatures()).await;
    insta::assert_snapshot!(answer, @r#"
    429
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    retry-after: 1
    {"error":"temporarily_unavailable","error_description":"too many requests of this client; wait"}
    "#);
    let metrics = Answer::of(server.http.get(format!("{}/metrics", server.management))).await;
    assert!(metrics.body.contains("jwtlet_requests_limited_total{by=\"client\"} 1\n"), "{metrics}");
    // A bad token is nobody's, and other clients have limits of their own.
    let answer = server.exchange_token("a.b.c", &[("resource", "acme")]).await;
    assert_eq!(answer.status, 400, "{answer}");
    assert_eq!(server.manage(Method::GET, "/mappings", "reader", None).await.status, 200);
}

#[tokio::test]
async fn a_limited_caller_of_the_management_api_leaves_no_audit_record() {
    let server = Harness::start_with(&[(CLIENT, "1")]).await;
    let body = json!({"scope": "read", "claims": {}});
    let mut recorded = 0;
    let answer = loop {
        let answer = server.manage(Method::POST, "/scopes", "nobody", Some(&body)).await;
        match answer.status {
            403 => recorded += 1,
            _ => break answer,
        }
    };
    assert_eq!(answer.status, 429, "{answer}");
    assert!(answer.body.contains("too many requests of this client; wait"), "{answer}");
    assert!(answer.header("retry-after").is_some(), "{answer}");
    let trail = server.manage(Method::GET, "/audit", "reader", None).await.json();
    assert_eq!(trail.as_array().unwrap().len(), recorded, "{trail}");
}
