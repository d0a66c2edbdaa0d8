//! How much the management API takes, and which claims it leaves to jwtlet.

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::Harness,
    management_input::{mapping_with, scope_with},
};

#[tokio::test]
async fn names_are_as_long_as_the_contract_says_and_no_longer() {
    let server = Harness::start().await;
    for (member, most) in [("clientIdentifier", 512), ("participantContext", 512), ("description", 1024)] {
        assert!(!server.accepts("/mappings", &mapping_with(member, "x".repeat(most + 1))).await, "{member}");
        assert!(!server.accepts("/mappings", &mapping_with(member, "ä".repeat(most / 2) + "a")).await);
        assert!(server.accepts("/mappings", &mapping_with(member, "x".repeat(most))).await, "{member}");
    }
    server.manage(Method::DELETE, "/mappings/a", "admin", None).await;
    for (member, most) in [("scopes", 256), ("audiences", 1024)] {
        let long = |length| mapping_with(member, json!(["x".repeat(length)]));
        assert!(!server.accepts("/mappings", &long(most + 1)).await, "{member}");
        assert!(server.accepts("/mappings", &long(most)).await, "{member}");
        server.manage(Method::DELETE, "/mappings/a", "admin", None).await;
    }
    let scope = |length| json!({"scope": "x".repeat(length), "claims": {}});
    assert!(!server.accepts("/scopes", &scope(257)).await);
    assert!(server.accepts("/scopes", &scope(256)).await);
}

#[tokio::test]
async fn a_mapping_has_at_most_a_thousand_scopes_and_a_hundred_audiences() {
    let server = Harness::start().await;
    let numbered = |count: usize| json!((0..count).map(|i| format!("n{i}")).collect::<Vec<_>>());
    for (member, most) in [("scopes", 1000), ("audiences", 100)] {
        let body = mapping_with(member, numbered(most + 1));
        let answer = server.manage(Method::POST, "/mappings", "admin", Some(&body)).await;
        let rule = format!("{member}: must be at most {most}, not {}", most + 1);
        assert_eq!((answer.status, answer.json()["detail"].as_str()), (400, Some(&*rule)));
        assert!(server.accepts("/mappings", &mapping_with(member, numbered(most))).await);
        server.manage(Method::DELETE, "/mappings/a", "admin", None).await;
    }
}

#[tokio::test]
async fn claims_have_at_most_16_kib_of_json() {
    let server = Harness::start().await;
    let claims = |bytes: usize| scope_with(json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())}));
    let answer = server.manage(Method::POST, "/scopes", "admin", Some(&claims(16 * 1024 + 1))).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"claims: must be at most 16384 bytes of JSON, not 16385"}
    "#);
    assert!(server.accepts("/scopes", &claims(16 * 1024)).await);
}

#[tokio::test]
async fn claims_that_jwtlet_sets_itself_cannot_be_written() {
    let server = Harness::start_with(&[("JWTLET__TOKEN__PARTICIPANT_CONTEXT_CLAIM", "tenant")]).await;
    for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "cnf", "tenant"] {
        let answer = server
            .manage(Method::POST, "/scopes", "admin", Some(&scope_with(json!({"a": 1, claim: 1}))))
            .await;
        let rule = format!("claims: must not define the reserved claim {claim}");
        assert_eq!((answer.status, answer.json()["detail"].as_str()), (400, Some(&*rule)));
    }
    let others = json!({"jwtlet_pc": 1, "ISS": 1, "client_id": 1, "scope": "a", "nested": {"iss": 1}});
    assert!(server.accepts("/scopes", &scope_with(others)).await);
    let reserved = scope_with(json!({"sub": "x"}));
    assert_eq!(server.manage(Method::PUT, "/scopes/read", "admin", Some(&reserved)).await.status, 400);
}

#[tokio::test]
async fn deep_nesting_is_refused_and_reaches_no_stack_limit() {
    let server = Harness::start().await;
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    // The record and its claims are two levels of the 32.
    let body = |depth: usize| format!(r#"{{"scope":"a","claims":{{"x":{}}}}}"#, nested(depth - 2));
    let answer = server.write(Method::POST, "/scopes", body(33)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("nested deeper than 32"), "{answer}");
    assert_eq!(server.write(Method::POST, "/scopes", body(32)).await.status, 201);
    assert_eq!(server.write(Method::POST, "/scopes", "[".repeat(1_000_000)).await.status, 400);
    assert_eq!(server.write(Method::POST, "/mappings", "{\"a\":".repeat(1_000_000)).await.status, 400);
}

#[tokio::test]
async fn a_body_has_at_most_16_mib() {
    let server = Harness::start().await;
    let most = 16 * 1024 * 1024;
    let padded = |bytes: usize| format!("[{}]", " ".repeat(bytes - 2));
    let answer = server.write(Method::POST, "/mappings", padded(most + 1)).await;
    insta::assert_snapshot!(answer, @r#"
    413
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Payload Too Large","status":413,"detail":"the body must be at most 16777216 bytes"}
    "#);
    assert_eq!(server.write(Method::POST, "/mappings", padded(most)).await.status, 201);
    assert_eq!(server.write(Method::PUT, "/scopes/a", padded(most + 1)).await.status, 413);
}
