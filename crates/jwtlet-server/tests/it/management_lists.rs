//! Lists of mappings: their order and their filters.

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::Harness,
    management::{mapping, scope},
};

#[tokio::test]
async fn lists_are_sorted_by_key_byte_by_byte() {
    let server = Harness::start().await;
    for (client, context) in [("b", "a"), ("a", "b"), ("a", "B"), ("a:b", "a"), ("ä", "a"), ("a", "a")] {
        server.call(Method::POST, "/mappings", Some(&mapping(client, context))).await;
    }
    assert_eq!(server.contexts("/mappings").await, ["a/B", "a/a", "a/b", "a:b/a", "b/a", "ä/a"]);
    for name in ["b", "a:b", "B", "a"] {
        server.call(Method::POST, "/scopes", Some(&scope(name))).await;
    }
    let names: Vec<_> =
        server.records("/scopes").await.iter().map(|record| record["scope"].clone()).collect();
    assert_eq!(json!(names), json!(["B", "a", "a:b", "b"]));
}

#[tokio::test]
async fn lists_are_filtered_by_what_the_query_names() {
    let server = Harness::start().await;
    let mut writer = mapping("system:serviceaccount:a:b", "1");
    writer["scopes"] = json!(["write", "read"]);
    let mappings = json!([writer, mapping("system:serviceaccount:a:b", "2"), mapping("c", "1")]);
    server.call(Method::POST, "/mappings", Some(&mappings)).await;
    server.call(Method::POST, "/scopes", Some(&json!([scope("read"), scope("write")]))).await;
    for (query, count) in [
        ("clientIdentifier=system:serviceaccount:a:b", 2),
        ("clientIdentifier=system%3Aserviceaccount%3Aa%3Ab", 2),
        ("clientIdentifier=system", 0),
        ("participantContext=1", 2),
        ("scope=write", 1),
        ("scope=read", 3),
        ("participantContext=1&scope=read&clientIdentifier=c", 1),
        ("", 3),
    ] {
        assert_eq!(server.records(&format!("/mappings?{query}")).await.len(), count, "{query}");
    }
    assert_eq!(server.records("/scopes?scope=write").await, server.records("/scopes").await[1..]);
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.call(Method::GET, "/mappings?size=1", None).await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"the query parameter size is not one of clientIdentifier, participantContext, scope, owner, label, limit, cursor"}
    "#);
    for path in [
        "/mappings?clientidentifier=a",
        "/mappings?cursor=a",
        "/mappings?clientIdentifier=",
        "/mappings?scope&participantContext=a",
        "/mappings?limit=",
        "/mappings?scope=a&scope=a",
        "/mappings?scope=a%20b",
        "/mappings?participantContext=%FF",
        "/mappings?participantContext=%zz",
        "/mappings?clientIdentifier=%00",
        "/scopes?clientIdentifier=a",
        "/scopes?limit=0",
        "/scopes?limit=1001",
        "/scopes?limit=+1",
        "/scopes?limit=1&limit=1",
        "/scopes?cursor=",
        "/scopes?cursor=YSBi",
        "/mappings?cursor=YWI",
        "/mappings?cursor=!",
    ] {
        let answer = server.call(Method::GET, path, None).await;
        assert_eq!(answer.status, 400, "{path}: {answer}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with("the query"), "{answer}");
    }
}
