//! The life of mappings: created, listed, read, replaced and deleted.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, CONNECTOR, Harness};

const ACME: &str = "/mappings/system:serviceaccount:demo:connector/acme";

pub(crate) fn mapping(client: &str, context: &str) -> Value {
    json!({"clientIdentifier": client, "participantContext": context, "scopes": ["read"]})
}

pub(crate) fn scope(name: &str) -> Value {
    json!({"scope": name, "claims": {"scope": name}})
}

/// Both kinds of records: where they are, where one of them is, and what it looks like.
fn both_kinds() -> [(&'static str, &'static str, Value); 2] {
    [("/mappings", "/mappings/a/b", mapping("a", "b")), ("/scopes", "/scopes/read", scope("read"))]
}

impl Harness {
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.manage(method, path, "admin", body).await
    }

    async fn status(&self, method: Method, path: &str, body: Option<&Value>) -> u16 {
        self.call(method, path, body).await.status
    }

    pub(crate) async fn records(&self, path: &str) -> Vec<Value> {
        let answer = self.call(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{answer}");
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) async fn contexts(&self, path: &str) -> Vec<String> {
        let short = |record: &Value| {
            let name = |member: &str| record[member].as_str().unwrap().to_owned();
            format!("{}/{}", name("clientIdentifier"), name("participantContext"))
        };
        self.records(path).await.iter().map(short).collect()
    }
}

/// The answer without the times in it.
fn timeless(answer: &Answer) -> String {
    let mut text = answer.to_string();
    for name in ["createdAt", "updatedAt"] {
        let member = format!("\"{name}\":\"");
        let parts: Vec<&str> = text.split(&member).collect();
        let cut = |part: &&str| format!("{member}..{}", &part[part.find('"').unwrap()..]);
        text = parts[0].to_owned() + &parts[1..].iter().map(cut).collect::<String>();
    }
    text
}

#[tokio::test]
async fn a_mapping_reads_as_it_was_written() {
    let server = Harness::start().await;
    let mapping = json!({
        "clientIdentifier": CONNECTOR, "participantContext": "acme", "scopes": ["write", "read"],
        "audiences": ["data-space"], "expiresAt": "2099-01-02T03:04:05+01:00", "description": "for the demo",
    });
    insta::assert_snapshot!(server.call(Method::POST, "/mappings", Some(&mapping)).await, @"201");
    let answer = server.call(Method::GET, ACME, None).await;
    insta::assert_snapshot!(timeless(&answer), @r#"
    200
    content-type: application/json
    {"clientIdentifier":"system:serviceaccount:demo:connector","participantContext":"acme","scopes":["write","read"],"audiences":["data-space"],"expiresAt":"2099-01-02T02:04:05Z","description":"for the demo","createdAt":"..","updatedAt":"..","version":1}
    "#);
    let listed = server.call(Method::GET, "/mappings", None).await;
    assert_eq!(listed.body, format!("[{}]", answer.body));
}

#[tokio::test]
async fn what_was_left_out_of_a_mapping_is_empty_or_absent() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping(CONNECTOR, "acme"))).await;
    insta::assert_snapshot!(timeless(&server.call(Method::GET, ACME, None).await), @r#"
    200
    content-type: application/json
    {"clientIdentifier":"system:serviceaccount:demo:connector","participantContext":"acme","scopes":["read"],"audiences":[],"createdAt":"..","updatedAt":"..","version":1}
    "#);
}

#[tokio::test]
async fn a_scope_mapping_reads_as_it_was_written() {
    let server = Harness::start().await;
    let claims = json!({"roles": ["a", "b"], "deep": {"n": [1, 2.5, -3, null, true]}, "scope": "x y"});
    let body = json!({"scope": "tenant-manager-api:read", "claims": claims});
    assert_eq!(server.status(Method::POST, "/scopes", Some(&body)).await, 201);
    let answer = server.call(Method::GET, "/scopes/tenant-manager-api:read", None).await;
    insta::assert_snapshot!(timeless(&answer), @r#"
    200
    content-type: application/json
    {"scope":"tenant-manager-api:read","claims":{"deep":{"n":[1,2.5,-3,null,true]},"roles":["a","b"],"scope":"x y"},"createdAt":"..","updatedAt":"..","version":1}
    "#);
    assert_eq!(answer.json()["claims"], claims);
}

#[tokio::test]
async fn an_array_creates_all_of_its_records() {
    let server = Harness::start().await;
    let mappings = json!([mapping("b", "1"), mapping("a", "2"), mapping("a", "1")]);
    assert_eq!(server.status(Method::POST, "/mappings", Some(&mappings)).await, 201);
    assert_eq!(server.contexts("/mappings").await, ["a/1", "a/2", "b/1"]);
    assert_eq!(server.status(Method::POST, "/scopes", Some(&json!([scope("b"), scope("a")]))).await, 201);
    assert_eq!(server.records("/scopes").await.len(), 2);
    assert_eq!(server.status(Method::POST, "/scopes", Some(&json!([]))).await, 201);
}

#[tokio::test]
async fn a_key_that_exists_is_a_conflict_and_nothing_of_the_array_is_created() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let mappings = json!([mapping("new", "b"), mapping("a", "b")]);
    insta::assert_snapshot!(server.call(Method::POST, "/mappings", Some(&mappings)).await, @r#"
    409
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Conflict","status":409,"detail":"a mapping of a for b exists already or is given twice; nothing was created"}
    "#);
    assert_eq!(server.contexts("/mappings").await, ["a/b"]);
    server.call(Method::POST, "/scopes", Some(&scope("read"))).await;
    let scopes = json!([scope("new"), scope("read")]);
    insta::assert_snapshot!(server.call(Method::POST, "/scopes", Some(&scopes)).await, @r#"
    409
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Conflict","status":409,"detail":"a scope mapping of read exists already or is given twice; nothing was created"}
    "#);
    assert_eq!(server.records("/scopes").await.len(), 1);
}

#[tokio::test]
async fn a_key_that_repeats_in_an_array_is_a_conflict_and_nothing_is_created() {
    let server = Harness::start().await;
    for (list, _, record) in both_kinds() {
        let twice = json!([record, record]);
        assert_eq!(server.status(Method::POST, list, Some(&twice)).await, 409, "{list}");
        assert_eq!(server.records(list).await.len(), 0);
    }
}

#[tokio::test]
async fn one_bad_record_keeps_the_good_ones_of_its_array_out() {
    let server = Harness::start().await;
    for (list, _, record) in both_kinds() {
        assert_eq!(server.status(Method::POST, list, Some(&json!([record, {}]))).await, 400, "{list}");
        assert_eq!(server.records(list).await.len(), 0);
    }
}

#[tokio::test]
async fn a_conflict_leaves_the_record_as_it_was() {
    let server = Harness::start().await;
    for (list, one, record) in both_kinds() {
        server.call(Method::POST, list, Some(&record)).await;
        let before = server.call(Method::GET, one, None).await.body;
        assert_eq!(server.status(Method::POST, list, Some(&record)).await, 409);
        assert_eq!(server.call(Method::GET, one, None).await.body, before);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_not_replaced() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.call(Method::GET, "/mappings/a/b", None).await, @r#"
    404
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Not Found","status":404,"detail":"there is not a mapping of a for b"}
    "#);
    insta::assert_snapshot!(server.call(Method::PUT, "/scopes/read", Some(&scope("read"))).await, @r#"
    404
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Not Found","status":404,"detail":"there is not a scope mapping of read"}
    "#);
    for (list, one, record) in both_kinds() {
        assert_eq!(server.status(Method::GET, one, None).await, 404);
        assert_eq!(server.status(Method::PUT, one, Some(&record)).await, 404);
        assert_eq!(server.records(list).await.len(), 0);
    }
}

#[tokio::test]
async fn a_replaced_mapping_keeps_its_birthday_and_loses_what_is_left_out() {
    let server = Harness::start().await;
    let mut full = mapping("a", "b");
    full["audiences"] = json!(["data-space"]);
    full["description"] = json!("old");
    server.call(Method::POST, "/mappings", Some(&full)).await;
    let before = server.call(Method::GET, "/mappings/a/b", None).await.json();
    let mut other = mapping("a", "b");
    other["scopes"] = json!([]);
    let answer = server.call(Method::PUT, "/mappings/a/b", Some(&other)).await;
    assert_eq!((answer.status, &*answer.body), (204, ""));
    let after = server.call(Method::GET, "/mappings/a/b", None).await.json();
    assert_eq!((&after["scopes"], &after["audiences"]), (&json!([]), &json!([])));
    assert_eq!((&after["description"], &after["version"]), (&Value::Null, &json!(2)));
    assert_eq!(after["createdAt"], before["createdAt"]);
    assert!(after["updatedAt"].as_str() > before["updatedAt"].as_str(), "{after}");
}

#[tokio::test]
async fn an_answer_may_be_sent_back_as_it_came() {
    let server = Harness::start().await;
    for (list, one, record) in both_kinds() {
        server.call(Method::POST, list, Some(&record)).await;
        let answer = server.call(Method::GET, one, None).await.json();
        assert_eq!(server.status(Method::PUT, one, Some(&answer)).await, 204);
        assert_eq!(server.status(Method::DELETE, one, None).await, 204);
        let array = json!([answer]);
        assert_eq!(server.status(Method::POST, list, Some(&array)).await, 201);
        assert_eq!(server.records(list).await[0]["version"], 1, "{list}");
    }
}

#[tokio::test]
async fn read_only_members_are_ignored_whatever_they_hold() {
    let server = Harness::start().await;
    for (list, one, mut record) in both_kinds() {
        record["createdAt"] = json!("1970-01-01T00:00:00Z");
        record["updatedAt"] = json!({"any": "thing"});
        record["version"] = json!("99");
        assert_eq!(server.status(Method::POST, list, Some(&record)).await, 201);
        let answer = server.call(Method::GET, one, None).await.json();
        assert_eq!(answer["version"], 1);
        assert_eq!(answer["createdAt"], answer["updatedAt"]);
        assert!(answer["createdAt"].as_str().unwrap() > "2000", "{answer}");
    }
}

#[tokio::test]
async fn path_and_body_of_a_replacement_must_agree() {
    let server = Harness::start().await;
    for (list, _, record) in both_kinds() {
        server.call(Method::POST, list, Some(&record)).await;
    }
    let answer = server.call(Method::PUT, "/mappings/a/b", Some(&mapping("a", "c"))).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"clientIdentifier and participantContext must be those of the path; a key cannot be changed"}
    "#);
    insta::assert_snapshot!(server.call(Method::PUT, "/scopes/read", Some(&scope("write"))).await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"scope must be that of the path; a key cannot be changed"}
    "#);
    assert_eq!(server.status(Method::PUT, "/mappings/a/b", Some(&mapping("x", "b"))).await, 400);
    assert_eq!(server.contexts("/mappings").await, ["a/b"]);
    assert_eq!(server.records("/scopes").await[0]["version"], 1);
}

#[tokio::test]
async fn a_replacement_is_one_object_and_no_array() {
    let server = Harness::start().await;
    for (list, one, record) in both_kinds() {
        server.call(Method::POST, list, Some(&record)).await;
        assert_eq!(server.status(Method::PUT, one, Some(&json!([record]))).await, 400);
    }
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds_too() {
    let server = Harness::start().await;
    for (list, one, record) in both_kinds() {
        server.call(Method::POST, list, Some(&record)).await;
        for _ in 0..2 {
            let answer = server.call(Method::DELETE, one, None).await;
            assert_eq!((answer.status, &*answer.body), (204, ""));
        }
        assert_eq!(server.status(Method::GET, one, None).await, 404);
    }
}

#[tokio::test]
async fn all_mappings_of_a_client_go_at_once_and_those_of_others_stay() {
    let server = Harness::start().await;
    let mappings = json!([mapping("a", "1"), mapping("a", "2"), mapping("ab", "1")]);
    server.call(Method::POST, "/mappings", Some(&mappings)).await;
    for _ in 0..2 {
        assert_eq!(server.status(Method::DELETE, "/mappings/a", None).await, 204);
        assert_eq!(server.contexts("/mappings").await, ["ab/1"]);
    }
}
