//! Owners and labels of records over the API: written, found, audited, and unseen by who does not know them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::Harness,
    management::{mapping, scope},
};

fn noted(mut record: Value, owner: &str, labels: Value) -> Value {
    record["owner"] = owner.into();
    record["labels"] = labels;
    record
}

#[tokio::test]
async fn owner_and_labels_read_as_they_were_written_and_go_with_a_replacement_that_leaves_them_out() {
    let server = Harness::start().await;
    for (list, one, record) in
        [("/mappings", "/mappings/a/b", mapping("a", "b")), ("/scopes", "/scopes/read", scope("read"))]
    {
        let labels = json!({"app": "billing", "example.com/tier": ""});
        let body = noted(record.clone(), "team-a", labels.clone());
        assert_eq!(server.call(Method::POST, list, Some(&json!([body]))).await.status, 201);
        let answer = server.call(Method::GET, one, None).await;
        assert_eq!((&answer.json()["owner"], &answer.json()["labels"]), (&json!("team-a"), &labels));
        assert_eq!(server.records(list).await, [answer.json()]);

        let tag = answer.header("etag").unwrap().to_owned();
        let relabelled = noted(record.clone(), "team-b", json!({}));
        assert_eq!(server.call(Method::PUT, one, Some(&relabelled)).await.status, 204);
        let answer = server.call(Method::GET, one, None).await;
        assert!(answer.header("etag") != Some(&tag) && answer.json().get("labels").is_none(), "{answer}");
        assert_eq!(answer.json()["owner"], "team-b");
        let trail = server.call(Method::GET, "/audit?limit=1", None).await.json();
        assert_eq!((&trail[0]["before"]["labels"], &trail[0]["after"]["owner"]), (&labels, &json!("team-b")));

        assert_eq!(server.call(Method::PUT, one, Some(&record)).await.status, 204);
        let answer = server.call(Method::GET, one, None).await.json();
        assert!(answer.get("owner").is_none() && answer.get("labels").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn lists_are_filtered_by_owner_and_labels() {
    let server = Harness::start().await;
    let mappings = json!([
        noted(mapping("a", "1"), "team-a", json!({"app": "billing", "stage": "test"})),
        noted(mapping("a", "2"), "team-a", json!({"app": "billing"})),
        noted(mapping("a", "3"), "team-b", json!({"app": "shop"})),
        mapping("a", "4"),
    ]);
    server.call(Method::POST, "/mappings", Some(&mappings)).await;
    for (query, contexts) in [
        ("owner=team-a", &["a/1", "a/2"][..]),
        ("owner=team", &[]),
        ("label=app", &["a/1", "a/2", "a/3"]),
        ("label=app%3Dbilling", &["a/1", "a/2"]),
        ("label=app=billing&label=stage", &["a/1"]),
        ("owner=team-b&label=app=billing", &[]),
        ("owner=team-b&scope=read", &["a/3"]),
    ] {
        assert_eq!(server.contexts(&format!("/mappings?{query}")).await, contexts, "{query}");
    }
    let pages = server.pages("/mappings?label=app&label=app=billing&limit=1").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    let scopes = json!([noted(scope("x"), "team-a", json!({"app": "x"})), scope("y")]);
    server.call(Method::POST, "/scopes", Some(&scopes)).await;
    for (query, count) in
        [("owner=team-a", 1), ("label=app=x", 1), ("scope=y&owner=team-a", 0), ("scope=y", 1)]
    {
        assert_eq!(server.records(&format!("/scopes?{query}")).await.len(), count, "{query}");
    }
}

#[tokio::test]
async fn owners_and_labels_follow_their_rules() {
    let server = Harness::start().await;
    let detail = async |record: &Value| {
        let answer = server.call(Method::POST, "/mappings", Some(record)).await;
        assert_eq!(answer.status, 400, "{answer}");
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let labels = |labels| noted(mapping("a", "b"), "team-a", labels);
    assert_eq!(detail(&noted(mapping("a", "b"), "", json!({}))).await, "owner: must not be empty");
    let message = detail(&labels(json!({"app": "not one"}))).await;
    assert!(message.starts_with("labels.app: must be empty, or at most 63 letters"), "{message}");
    let message = detail(&labels(json!({"-app": "x"}))).await;
    assert!(message.starts_with("labels") && message.contains("must be 1 to 63 letters"), "{message}");
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("k{n}"), json!("v"))).collect();
    assert_eq!(detail(&labels(Value::Object(many))).await, "labels: must be at most 64, not 65");
    assert!(server.records("/mappings").await.is_empty());
}

#[tokio::test]
async fn a_filter_that_breaks_a_rule_is_refused() {
    let server = Harness::start().await;
    for (query, rule) in [
        ("owner=", "the query parameter owner must not be empty"),
        ("label=", "the query parameter label, as in key=value or key: the key must be 1 to 63 letters"),
        ("label=a=b%20c", "the query parameter label, as in key=value or key: the value must be empty"),
        ("owner=a&owner=b", "the query parameter owner must be given once only"),
    ] {
        for list in ["/mappings", "/scopes"] {
            let answer = server.call(Method::GET, &format!("{list}?{query}"), None).await;
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(answer.status == 400 && detail.starts_with(rule), "{answer}");
        }
    }
    let many = "label=a&".repeat(65);
    assert_eq!(server.call(Method::GET, &format!("/mappings?{many}"), None).await.status, 400);
}
