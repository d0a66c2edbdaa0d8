//! The review of the whole policy, through the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Harness;

impl Harness {
    async fn lint(&self, query: &str) -> Value {
        let answer = self.manage(Method::GET, &format!("/lint{query}"), "reader", None).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    async fn map_until(&self, context: &str, expires_at: &str) {
        let mapping = json!({
            "clientIdentifier": "a", "participantContext": context, "scopes": ["user"], "expiresAt": expires_at,
        });
        assert_eq!(self.call(Method::POST, "/mappings", Some(&mapping)).await.status, 201);
    }
}

/// A time so many days from now.
fn in_days(days: i64) -> String {
    #[expect(clippy::disallowed_methods, reason = "the server reads the same clock")]
    let now = jiff::Timestamp::now();
    (now + jiff::SignedDuration::from_hours(24 * days)).to_string()
}

#[tokio::test]
async fn an_empty_policy_has_no_findings() {
    let server = Harness::start().await;
    assert_eq!(server.lint("").await, json!({"findings": [], "truncated": false}));
}

#[tokio::test]
async fn each_kind_of_finding_names_what_it_is_about() {
    let server = Harness::start().await;
    server.map_scope("user", json!({"role": "user"})).await;
    server.map_scope("root", json!({"role": "root"})).await;
    server.map_scope("spare", json!({})).await;
    server.map("a", "acme", &["user", "root", "bare"], &[]).await;
    server.map("b", "acme", &["root"], &[]).await;
    server.map_until("ended", "2020-01-01T00:00:00Z").await;
    server.map_until("ending", &in_days(13)).await;
    server.map_until("later", &in_days(15)).await;
    let report = server.lint("").await;
    let mut findings = report["findings"].as_array().unwrap().clone();
    for finding in &mut findings {
        finding.as_object_mut().unwrap().remove("message").unwrap();
    }
    let ending = findings[0]["expiresAt"].clone();
    assert_eq!(
        json!(findings),
        json!([
            {"kind": "expiring-mapping", "severity": "warning", "clientIdentifier": "a", "participantContext": "ending", "expiresAt": ending},
            {"kind": "expired-mapping", "severity": "warning", "clientIdentifier": "a", "participantContext": "ended", "expiresAt": "2020-01-01T00:00:00Z"},
            {"kind": "conflicting-scopes", "severity": "warning", "clientIdentifier": "a", "participantContext": "acme", "scope": "root", "otherScope": "user", "claim": "role", "mappings": 1},
            {"kind": "unmapped-scope", "severity": "warning", "clientIdentifier": "a", "participantContext": "acme", "scope": "bare", "mappings": 1},
            {"kind": "unused-scope", "severity": "info", "scope": "spare"},
            {"kind": "overlapping-clients", "severity": "info", "clientIdentifier": "a", "otherClientIdentifier": "b", "participantContext": "acme", "scopes": ["root"]},
        ])
    );
    assert_eq!(report["truncated"], false);
    let first = server.lint("?limit=2").await;
    assert_eq!((first["findings"].as_array().unwrap().len(), &first["truncated"]), (2, &json!(true)));
}

#[tokio::test]
async fn a_policy_of_several_pages_is_reviewed_as_one() {
    let server = Harness::start().await;
    server.create_many(2_500).await;
    let report = server.lint("").await;
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{report}");
    assert_eq!((&findings[0]["scope"], &findings[0]["mappings"]), (&json!("read"), &json!(2500)));
}

#[tokio::test]
async fn a_review_is_for_readers() {
    let server = Harness::start().await;
    for (operator, status) in [("reader", 200), ("admin", 200), ("mapper", 403), ("nobody", 403)] {
        assert_eq!(server.manage(Method::GET, "/lint", operator, None).await.status, status, "{operator}");
    }
    assert_eq!(server.call(Method::GET, "/lint?limit=0", None).await.status, 400);
    assert_eq!(server.call(Method::GET, "/lint?kind=x", None).await.status, 400);
}
