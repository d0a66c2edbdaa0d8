//! The policy as documents: applied as a whole, and exported.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Harness},
    management::{mapping, scope},
    storage::start_on,
};

impl Harness {
    async fn apply(&self, body: &Value) -> Answer {
        self.call(Method::POST, "/policy/apply", Some(body)).await
    }

    /// The answer to an apply that succeeds, without the digest.
    async fn applied(&self, body: &Value) -> Value {
        let answer = self.apply(body).await;
        assert_eq!(answer.status, 200, "{answer}");
        let mut json = answer.json();
        assert_eq!(json["planDigest"].as_str().unwrap().len(), 64);
        json.as_object_mut().unwrap().remove("planDigest");
        json
    }

    async fn audited(&self, query: &str) -> Vec<Value> {
        self.records(&format!("/audit?{query}")).await
    }
}

fn team_a(mappings: &[Value], scopes: &[Value]) -> Value {
    json!({"owner": "team-a", "prune": true, "resourceMappings": mappings, "scopeMappings": scopes})
}

#[tokio::test]
async fn documents_become_the_policy_and_are_recorded_change_by_change() {
    let server = Harness::start().await;
    let mut body = team_a(&[mapping("a", "b")], &[scope("read")]);
    body["applyId"] = json!("release-7");
    assert_eq!(
        server.applied(&body).await,
        json!({
            "applyId": "release-7", "dryRun": false, "revision": 0,
            "summary": {"create": 2, "change": 0, "delete": 0, "unchanged": 0},
            "changes": [
                {"action": "create", "kind": "resourceMapping",
                 "key": {"clientIdentifier": "a", "participantContext": "b"},
                 "fields": {"audiences": {"after": []}, "owner": {"after": "team-a"}, "scopes": {"after": ["read"]}}},
                {"action": "create", "kind": "scopeMapping", "key": {"scope": "read"},
                 "fields": {"claims": {"after": {"scope": "read"}}, "owner": {"after": "team-a"}}},
            ],
        })
    );
    assert_eq!(server.records("/mappings?owner=team-a").await.len(), 1);
    let records = server.audited("applyId=release-7").await;
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[0]["action"], &records[0]["applyId"]),
        (&json!("scope.create"), &json!("release-7"))
    );
    assert_eq!(server.verdict("").await["intact"], true);

    // The same again, and then less.
    let again = server.applied(&body).await;
    assert_eq!(
        (&again["summary"]["unchanged"], &again["changes"], again.get("applyId")),
        (&json!(2), &json!([]), None)
    );
    let less = server.applied(&team_a(&[], &[scope("read")])).await;
    assert_eq!(less["changes"][0]["fields"]["scopes"], json!({"before": ["read"]}));
    assert!(less["applyId"].as_str().unwrap().len() == 36 && server.records("/mappings").await.is_empty());
    assert_eq!(server.audited("").await.len(), 3);
}

#[tokio::test]
async fn a_dry_run_needs_no_more_than_reading_and_its_digest_keeps_what_was_not_seen() {
    let server = Harness::start().await;
    server.applied(&team_a(&[mapping("a", "b")], &[])).await;
    let mut changed = mapping("a", "b");
    changed["description"] = json!("new");
    let mut body = team_a(&[changed], &[]);
    body["dryRun"] = json!(true);
    let planned = server.manage(Method::POST, "/policy/apply", "reader", Some(&body)).await;
    assert_eq!(planned.status, 200, "{planned}");
    let planned = planned.json();
    assert_eq!(
        (&planned["dryRun"], &planned["changes"][0]["fields"]),
        (&json!(true), &json!({"description": {"after": "new"}}))
    );
    assert_eq!(server.records("/mappings").await[0]["version"], 1);

    body["dryRun"] = json!(false);
    body["planDigest"] = planned["planDigest"].clone();
    let mut meanwhile = mapping("a", "b");
    meanwhile["owner"] = json!("team-a");
    meanwhile["scopes"] = json!(["write"]);
    assert_eq!(server.call(Method::PUT, "/mappings/a/b", Some(&meanwhile)).await.status, 204);
    insta::assert_snapshot!(server.apply(&body).await, @r#"
    412
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Precondition Failed","status":412,"detail":"planDigest is not that of the plan any more: the policy has changed; nothing was applied"}
    "#);
    assert_eq!(server.records("/mappings").await[0]["scopes"], json!(["write"]));
    let refused = server.audited("action=policy.apply&outcome=refused").await;
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[tokio::test]
async fn every_wrong_document_is_named_and_nothing_is_applied() {
    let server = Harness::start().await;
    let mut alien = mapping("c", "d");
    alien["owner"] = json!("team-b");
    let body = team_a(
        &[mapping("a", "b"), mapping("", "b"), mapping("a", "b"), json!(1), alien],
        &[json!({"scope": "read", "claims": {"iss": "x"}}), json!({"scope": "write"})],
    );
    let answer = server.apply(&body).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")));
    assert_eq!(answer.json()["detail"], "6 mistakes in the documents; errors has the first 6");
    let document = |kind: &str, index: usize, key: Value| json!({"kind": kind, "index": index, "key": key});
    let name =
        |client: &str, context: &str| json!({"clientIdentifier": client, "participantContext": context});
    assert_eq!(
        answer.json()["errors"],
        json!([
            {"document": document("resourceMapping", 1, name("", "b")), "field": "clientIdentifier",
             "message": "must not be empty"},
            {"document": document("resourceMapping", 2, name("a", "b")), "field": "",
             "message": "names the same record as the document with index 0"},
            {"document": document("resourceMapping", 3, json!({})), "field": "",
             "message": "a mapping must be a JSON object"},
            {"document": document("resourceMapping", 4, name("c", "d")), "field": "owner",
             "message": "must be team-a, as that of the apply, or be left out"},
            {"document": document("scopeMapping", 0, json!({"scope": "read"})), "field": "claims",
             "message": "must not define the reserved claim iss"},
            {"document": document("scopeMapping", 1, json!({"scope": "write"})), "field": "",
             "message": "missing field `claims`"},
        ])
    );
    assert!(server.records("/mappings").await.is_empty());
}

#[tokio::test]
async fn a_record_of_somebody_else_is_a_conflict_until_it_is_taken_over() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let mut body = team_a(&[mapping("new", "b"), mapping("a", "b")], &[]);
    insta::assert_snapshot!(server.apply(&body).await, @r#"
    409
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Conflict","status":409,"detail":"1 documents are of another owner than their records; a mapping of a for b: owner must be nobody, who owns the stored record, and not team-a; takeOver takes the record over","errors":[{"document":{"kind":"resourceMapping","index":1,"key":{"clientIdentifier":"a","participantContext":"b"}},"field":"owner","message":"must be nobody, who owns the stored record, and not team-a; takeOver takes the record over"}]}
    "#);
    assert_eq!(server.contexts("/mappings").await, ["a/b"]);
    body["takeOver"] = json!(true);
    assert_eq!(server.applied(&body).await["summary"]["change"], 1);
    // Without an owner, what has one is left alone.
    let ownerless = json!({"resourceMappings": [mapping("a", "b")]});
    assert_eq!(server.apply(&ownerless).await.status, 409);
}

#[tokio::test]
async fn an_apply_needs_the_roles_for_both_kinds_and_for_reading() {
    let server = Harness::start().await;
    let body = team_a(&[mapping("a", "b")], &[]);
    for operator in ["reader", "mapper", "scoper", "nobody"] {
        let answer = server.manage(Method::POST, "/policy/apply", operator, Some(&body)).await;
        assert_eq!(answer.status, 403, "{operator}: {answer}");
        let status = server.manage(Method::GET, "/policy/export", operator, None).await.status;
        assert_eq!(status, if operator == "reader" { 200 } else { 403 }, "{operator}");
    }
    assert_eq!(server.audited("action=policy.apply").await.len(), 4);
}

#[tokio::test]
async fn what_is_no_apply_is_refused_with_the_member() {
    let server = Harness::start().await;
    for (body, detail) in [
        (json!({"prune": true}), "prune: needs owner, whose other records it deletes"),
        (json!({"owner": ""}), "owner: must not be empty"),
        (json!({"planDigest": "x"}), "planDigest: must be 64 hexadecimal digits in lower case"),
        (json!({"applyId": "a b"}), "applyId: must be visible ASCII"),
    ] {
        let answer = server.apply(&body).await;
        assert_eq!((answer.status, answer.json()["detail"].as_str()), (400, Some(detail)), "{answer}");
    }
    for body in [json!([]), json!({"resourceMappings": {}}), json!({"dryrun": true})] {
        assert_eq!(server.apply(&body).await.status, 400, "{body}");
    }
    let many = json!({"resourceMappings": vec![json!({}); 20_001]});
    let answer = server.apply(&many).await;
    assert_eq!(answer.json()["detail"], "at most 20000 documents can be applied at a time");
}

#[tokio::test]
async fn an_export_can_be_applied_again() {
    let files = tempfile::tempdir().unwrap();
    let server = start_on(&files.path().join("policy.db")).await;
    let mut full = mapping("a", "b");
    full["expiresAt"] = json!("2099-01-02T03:04:05Z");
    full["labels"] = json!({"app": "billing"});
    server.applied(&team_a(&[full], &[scope("read")])).await;
    server.call(Method::POST, "/mappings", Some(&mapping("other", "b"))).await;
    let export = server.call(Method::GET, "/policy/export?owner=team-a", None).await;
    insta::assert_snapshot!(export, @r#"
    200
    content-type: application/json
    {"resourceMappings":[{"audiences":[],"clientIdentifier":"a","expiresAt":"2099-01-02T03:04:05Z","labels":{"app":"billing"},"owner":"team-a","participantContext":"b","scopes":["read"]}],"scopeMappings":[{"claims":{"scope":"read"},"owner":"team-a","scope":"read"}]}
    "#);
    let all = server.call(Method::GET, "/policy/export", None).await.json();
    let applied = server.applied(&all).await;
    assert_eq!((&applied["summary"]["unchanged"], &applied["changes"]), (&json!(3), &json!([])));
    let labelled = server.call(Method::GET, "/policy/export?label=app=billing", None).await.json();
    assert_eq!(
        (labelled["resourceMappings"].as_array().unwrap().len(), &labelled["scopeMappings"]),
        (1, &json!([]))
    );
}
