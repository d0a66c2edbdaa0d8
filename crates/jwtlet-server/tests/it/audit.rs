//! The audit trail: one record for each change, in a chain that shows what was done to it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Harness},
    management::{mapping, scope},
};

impl Harness {
    /// The trail, the oldest record first.
    pub(crate) async fn trail(&self) -> Vec<Value> {
        let mut records = self.records("/audit?limit=1000").await;
        records.reverse();
        records
    }

    pub(crate) async fn verdict(&self, query: &str) -> Value {
        let answer = self.manage(Method::GET, &format!("/audit/verify{query}"), "reader", None).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    async fn actions(&self, query: &str) -> Vec<String> {
        let records = self.records(&format!("/audit?{query}")).await;
        records.iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a record says was done, to what.
fn summary(record: &Value) -> String {
    let key = record["key"].as_object().unwrap().values();
    let key: Vec<&str> = key.map(|name| name.as_str().unwrap()).collect();
    let version =
        |state: &str| record[state]["version"].as_u64().map_or("-".into(), |version| version.to_string());
    let (action, outcome) = (record["action"].as_str().unwrap(), record["outcome"].as_str().unwrap());
    format!("{action} {} {outcome} {}>{}", key.join("/"), version("before"), version("after"))
}

#[tokio::test]
async fn a_record_tells_who_did_what_in_which_request_and_what_it_changed() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let before = server.call(Method::GET, "/mappings/a/b", None).await.json();
    let mut changed = mapping("a", "b");
    changed["description"] = json!("wider");
    changed["scopes"] = json!(["read", "write"]);
    let request = server.management_request(Method::PUT, "/mappings/a/b", "mapper").json(&changed);
    assert_eq!(Answer::of(request.header("x-request-id", "find-me")).await.status, 204);
    let after = server.call(Method::GET, "/mappings/a/b", None).await.json();
    let records = server.records("/audit").await;
    let record = &records[0];
    assert!(record["actor"]["uid"].as_str().unwrap().len() > 8, "{record}");
    assert_eq!(
        *record,
        json!({
            "sequence": 2,
            "time": after["updatedAt"],
            "actor": {"sub": "system:serviceaccount:ops:mapper", "uid": record["actor"]["uid"]},
            "requestId": "find-me",
            "action": "mapping.update",
            "key": {"clientIdentifier": "a", "participantContext": "b"},
            "outcome": "applied",
            "before": before,
            "after": after,
            "previousHash": record["previousHash"],
        })
    );
    assert_ne!(record["previousHash"], records[1]["previousHash"]);
}

#[tokio::test]
async fn each_changed_record_has_one_of_its_own() {
    let server = Harness::start().await;
    let both = json!([mapping("a", "1"), mapping("a", "2")]);
    for (method, path, body) in [
        (Method::POST, "/mappings", Some(both)),
        (Method::POST, "/scopes", Some(scope("read"))),
        (Method::PUT, "/scopes/read", Some(scope("read"))),
        (Method::DELETE, "/scopes/read", None),
        (Method::DELETE, "/scopes/read", None),
        (Method::DELETE, "/mappings/a", None),
        (Method::DELETE, "/mappings/a", None),
    ] {
        let status = server.call(method, path, body.as_ref()).await.status;
        assert!([201, 204].contains(&status), "{path}");
    }
    let trail = server.trail().await;
    assert_eq!(
        trail.iter().map(summary).collect::<Vec<_>>(),
        [
            "mapping.create a/1 applied ->1",
            "mapping.create a/2 applied ->1",
            "scope.create read applied ->1",
            "scope.update read applied 1>2",
            "scope.delete read applied 2>-",
            "mapping.delete a/1 applied 1>-",
            "mapping.delete a/2 applied 1>-",
        ]
    );
    let sequence: Vec<u64> = trail.iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=7).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_trail_is_filtered_by_what_the_query_names() {
    let server = Harness::start().await;
    let request = server.management_request(Method::POST, "/mappings", "mapper").json(&mapping("a", "1"));
    Answer::of(request.header("x-request-id", "first")).await;
    server.call(Method::POST, "/mappings", Some(&mapping("b", "1"))).await;
    server.call(Method::POST, "/scopes", Some(&scope("read"))).await;
    server.call(Method::POST, "/scopes", Some(&scope("read"))).await;
    let time = server.trail().await[1]["time"].as_str().unwrap().to_owned();
    for (query, count) in [
        ("actor=system:serviceaccount:ops:mapper", 1),
        ("actor=nobody", 0),
        ("requestId=first", 1),
        ("action=mapping.create", 2),
        ("action=mapping.update", 0),
        ("outcome=refused", 1),
        ("outcome=applied", 3),
        ("clientIdentifier=a", 1),
        ("participantContext=1", 2),
        ("scope=read", 2),
        ("scope=read&outcome=applied", 1),
        (&format!("from={time}"), 3),
        (&format!("until={time}"), 1),
        (&format!("from={time}&until={time}"), 0),
        ("", 4),
    ] {
        assert_eq!(server.actions(query).await.len(), count, "{query}");
    }
    for query in [
        "action=x",
        "outcome=x",
        "from=today",
        "actor=",
        "after=1",
        "limit=1001",
        "cursor=x",
        "scope=a&scope=a",
    ] {
        assert_eq!(server.call(Method::GET, &format!("/audit?{query}"), None).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn the_trail_comes_in_pages_from_the_newest_record_back() {
    let server = Harness::start().await;
    server.create_many(250).await;
    let newest = server.records("/audit").await;
    assert_eq!((newest.len(), &newest[0]["sequence"]), (100, &json!(250)));
    let pages = server.pages("/audit?limit=100&action=mapping.create").await;
    let sequence: Vec<u64> =
        pages.concat().iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!((pages.len(), sequence), (3, (1..=250).rev().collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_trail_that_nobody_touched_is_intact() {
    let server = Harness::start().await;
    let zeros = "0".repeat(64);
    assert_eq!(
        server.verdict("").await,
        json!({"intact": true, "records": 0, "head": {"sequence": 0, "hash": zeros}})
    );
    server.create_many(2_500).await;
    let verdict = server.verdict("").await;
    assert_eq!((&verdict["intact"], &verdict["records"]), (&json!(true), &json!(2500)));
    assert_eq!(verdict["head"]["sequence"], 2500);
}

#[tokio::test]
async fn a_head_that_was_noted_elsewhere_proves_the_trail() {
    let server = Harness::start().await;
    server.create_many(3).await;
    let noted = server.verdict("").await["head"]["hash"].as_str().unwrap().to_owned();
    server.call(Method::POST, "/scopes", Some(&scope("read"))).await;
    assert_eq!(server.verdict(&format!("?sequence=3&hash={noted}")).await["intact"], true);
    for (query, sequence, reason) in [
        (format!("sequence=2&hash={noted}"), 2, "record 2 does not have the hash that was noted for it"),
        (format!("sequence=9&hash={noted}"), 5, "record 5 is missing"),
        (format!("sequence=0&hash={noted}"), 0, "record 0 does not have the hash that was noted for it"),
    ] {
        let verdict = server.verdict(&format!("?{query}")).await;
        assert_eq!(verdict["intact"], false);
        assert_eq!(verdict["firstBroken"], json!({"sequence": sequence, "reason": reason}));
    }
    for query in [
        "sequence=1".to_owned(),
        format!("hash={noted}"),
        format!("sequence=-1&hash={noted}"),
        "sequence=1&hash=x".into(),
    ] {
        let answer = server.call(Method::GET, &format!("/audit/verify?{query}"), None).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn the_trail_is_intact_while_it_grows() {
    let server = Harness::start().await;
    let writes = async {
        for i in 0..100 {
            server.call(Method::POST, "/scopes", Some(&scope(&format!("s{i}")))).await;
        }
    };
    let checks = async {
        for _ in 0..30 {
            let verdict = server.verdict("").await;
            assert_eq!(verdict["intact"], true, "{verdict}");
        }
    };
    tokio::join!(writes, checks);
    assert_eq!(server.verdict("").await["records"], 100);
}
