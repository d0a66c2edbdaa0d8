//! The published schema of documents agrees with the server.

use serde_json::{Value, json};

use crate::world::{World, jwtlet};

fn with(document: &Value, member: &str, value: Value) -> Value {
    let mut document = document.clone();
    document[member] = value;
    document
}

fn without(document: &Value, member: &str) -> Value {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove(member);
    document
}

/// Documents of all sorts: the good ones, and those with one mistake each.
fn documents() -> (Vec<Value>, Vec<Value>) {
    let mapping = json!({
        "kind": "ResourceMapping", "clientIdentifier": "system:serviceaccount:a:b", "participantContext": "acme",
        "scopes": ["read", "management-api:*:read"],
    });
    let scope = json!({"kind": "ScopeMapping", "scope": "read", "claims": {"role": "reader", "n": [1, null, {"x": 0.5}]}});
    let mapping_with = |member: &str, value: Value| with(&mapping, member, value);
    let scope_with = |member: &str, value: Value| with(&scope, member, value);
    let good = vec![
        mapping.clone(),
        scope.clone(),
        mapping_with("scopes", json!([])),
        mapping_with("audiences", json!(["data-space", "ünïcode"])),
        mapping_with("expiresAt", json!("2099-01-31T09:30:00Z")),
        mapping_with("expiresAt", json!("2099-01-31T09:30:00.25+01:00")),
        mapping_with("expiresAt", Value::Null),
        mapping_with("description", json!("two\nlines\tand a tab")),
        mapping_with("owner", json!("team a")),
        mapping_with("labels", json!({"example.com/tier": "gold", "app": ""})),
        mapping_with("version", json!(7)),
        mapping_with("participantContext", json!("x".repeat(512))),
        scope_with("claims", json!({})),
        scope_with("owner", Value::Null),
        scope_with("createdAt", json!("whatever")),
        scope_with("scope", json!("!#[]~")),
    ];
    let bad = vec![
        without(&mapping, "clientIdentifier"),
        without(&mapping, "participantContext"),
        without(&mapping, "scopes"),
        without(&scope, "scope"),
        without(&scope, "claims"),
        mapping_with("colour", json!("red")),
        scope_with("scopes", json!([])),
        mapping_with("claims", json!({})),
        mapping_with("clientIdentifier", json!("")),
        mapping_with("clientIdentifier", json!("a\u{200b}b")),
        mapping_with("participantContext", json!("..")),
        mapping_with("participantContext", json!("x".repeat(513))),
        mapping_with("participantContext", json!(7)),
        mapping_with("scopes", json!("read")),
        mapping_with("scopes", json!(["two words"])),
        mapping_with("scopes", json!(["read", 1])),
        mapping_with("scopes", Value::Null),
        mapping_with("scopes", (0..1_001).map(|i| json!(format!("s{i}"))).collect()),
        mapping_with("audiences", json!([""])),
        mapping_with("audiences", Value::Null),
        mapping_with("audiences", (0..101).map(|i| json!(format!("a{i}"))).collect()),
        mapping_with("expiresAt", json!("2099-01-31")),
        mapping_with("expiresAt", json!("2099-01-31T09:30:00")),
        mapping_with("expiresAt", json!(1)),
        mapping_with("description", json!("bell\u{7}")),
        mapping_with("owner", json!("")),
        mapping_with("labels", json!({"-": "x"})),
        mapping_with("labels", json!({"A/b": "x"})),
        mapping_with("labels", json!({"a": "not a value"})),
        mapping_with("labels", json!({"a": 1})),
        mapping_with("labels", Value::Null),
        scope_with("claims", json!({"iss": "x"})),
        scope_with("claims", json!([])),
        scope_with("scope", json!("a\"b")),
        scope_with("scope", json!("x".repeat(257))),
    ];
    (good, bad)
}

#[tokio::test]
async fn it_takes_and_refuses_what_the_server_takes_and_refuses() {
    let world = World::start().await;
    let schema: Value = serde_json::from_str(&jwtlet(&["policy", "schema"]).run().await.out).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let (good, bad) = documents();
    let judged =
        good.iter().map(|document| (document, true)).chain(bad.iter().map(|document| (document, false)));
    for (document, is_good) in judged {
        assert_eq!(schema.is_valid(document), is_good, "the schema on {document}");
        let ran = world.jwtlet(&["policy", "diff", "-f", "-"]).input(&document.to_string()).run().await;
        assert_eq!(ran.status == 1, is_good, "the server on {document}: {ran}");
        assert!(is_good || matches!(ran.status, 30 | 52), "{ran}");
    }
    for document in
        [json!(1), json!([]), json!({}), json!({"kind": "Scope"}), json!({"kind": "scopeMapping"})]
    {
        assert!(!schema.is_valid(&document), "{document}");
        let ran = world.jwtlet(&["policy", "diff", "-f", "-"]).input(&document.to_string()).run().await;
        assert_eq!(ran.status, 50, "{ran}");
    }
}
