//! Explanations: the same decision as an exchange, with its grounds.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, CONNECTOR, Harness},
    management_input::mapping_with,
};

impl Harness {
    async fn explain(&self, context: &str, scopes: &[&str], audiences: &[&str]) -> Value {
        let question = json!({
            "clientIdentifier": CONNECTOR, "participantContext": context, "scopes": scopes, "audiences": audiences,
        });
        let answer = self.manage(Method::POST, "/explain", "reader", Some(&question)).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    /// The exchange that the question is about.
    async fn real(&self, context: &str, scopes: &[&str], audiences: &[&str]) -> Answer {
        let scopes = scopes.join(" ");
        let mut parameters = vec![("resource", context), ("scope", &*scopes)];
        parameters.extend(audiences.iter().map(|audience| ("audience", *audience)));
        self.exchange(&parameters).await
    }
}

async fn server_with_policy() -> Harness {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &["read", "write", "admin", "bare"], &["data-space", "other"]).await;
    server.map_scope("read", json!({"scope": "read", "role": "user", "l": [1]})).await;
    server.map_scope("write", json!({"scope": "write read", "l": [2]})).await;
    server.map_scope("admin", json!({"role": "admin"})).await;
    let mut expired = mapping_with("expiresAt", "2020-01-01T00:00:00Z");
    expired["clientIdentifier"] = json!(CONNECTOR);
    expired["participantContext"] = json!("old");
    server.call(Method::POST, "/mappings", Some(&expired)).await;
    server
}

#[tokio::test]
async fn a_grant_has_the_claims_of_the_token_that_an_exchange_issues() {
    let server = server_with_policy().await;
    for (scopes, audiences) in
        [(&["write", "read", "bare"][..], &["other", "data-space"][..]), (&["admin"], &[]), (&[], &["other"])]
    {
        let explained = server.explain("acme", scopes, audiences).await;
        let mut claims = server.real("acme", scopes, audiences).await.claims();
        let nil = json!("00000000-0000-0000-0000-000000000000");
        // What belongs to a real exchange: its time, its id, and the caller's uid.
        for time in ["iat", "nbf", "exp"] {
            let apart = claims[time].as_i64().unwrap() - explained["claims"][time].as_i64().unwrap();
            assert!((0..60).contains(&apart), "{apart}");
            claims[time] = explained["claims"][time].clone();
        }
        claims["jti"] = nil.clone();
        claims["act"]["k8s_uid"] = nil;
        assert_eq!(explained["claims"], claims);
        assert_eq!((&explained["granted"], &explained["scopes"]), (&json!(true), &json!(scopes)));
        assert_eq!(explained["steps"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_refusal_is_that_of_an_exchange_with_the_rule_that_refused() {
    let server = server_with_policy().await;
    for (context, scopes, audiences, rule, steps) in [
        ("globex", &["read"][..], &[][..], "mapping", 1),
        ("old", &[], &[], "expiry", 2),
        ("acme", &["read", "root"], &[], "scopes", 3),
        ("acme", &["read"], &["elsewhere"], "audience", 4),
        ("acme", &["read", "admin"], &[], "claims", 5),
    ] {
        let explained = server.explain(context, scopes, audiences).await;
        let real = server.real(context, scopes, audiences).await;
        assert_eq!(explained["granted"], false);
        assert_eq!(explained["rule"], rule);
        assert_eq!(explained["status"], real.status, "{rule}");
        assert_eq!(explained["error"], real.json()["error"], "{rule}");
        assert_eq!(explained["reason"], real.json()["error_description"], "{rule}");
        let all = explained["steps"].as_array().unwrap();
        assert_eq!((all.len(), &all[all.len() - 1]["rule"]), (steps, &json!(rule)));
        assert!(all.iter().rev().skip(1).all(|step| step["held"] == true), "{explained}");
        assert_eq!(all[all.len() - 1]["held"], false);
    }
}

#[tokio::test]
async fn a_refusal_reads_like_this() {
    let server = server_with_policy().await;
    let answer = server.explain("acme", &["read", "admin"], &["other"]).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r#"
    {
      "error": "invalid_scope",
      "granted": false,
      "reason": "the scopes read and admin define the claim role differently; request them one at a time",
      "rule": "claims",
      "status": 400,
      "steps": [
        {
          "detail": "there is a mapping of system:serviceaccount:demo:connector for acme",
          "held": true,
          "rule": "mapping"
        },
        {
          "detail": "the mapping does not expire",
          "held": true,
          "rule": "expiry"
        },
        {
          "detail": "the mapping has the requested scopes",
          "held": true,
          "rule": "scopes"
        },
        {
          "detail": "the audience is allowed",
          "held": true,
          "rule": "audience"
        },
        {
          "detail": "the scopes read and admin define the claim role differently; request them one at a time",
          "held": false,
          "rule": "claims"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_question_is_read_as_strictly_as_a_record() {
    let server = Harness::start().await;
    for (question, detail) in [
        (json!([]), "a question must be a JSON object"),
        (json!({"clientIdentifier": "a"}), "missing field `participantContext`"),
        (
            json!({"clientIdentifier": "a", "participantContext": "b", "scopes": ["a b"]}),
            "scopes[0]: must be printable ASCII without space, double quote and backslash",
        ),
        (
            json!({"clientIdentifier": "a", "participantContext": "b", "scope": "a"}),
            "scope: unknown field `scope`, expected one of `clientIdentifier`, `participantContext`, `scopes`, `audiences`",
        ),
        (
            json!({"clientIdentifier": "a", "participantContext": "b", "audiences": (0..101).map(|i| i.to_string()).collect::<Vec<_>>()}),
            "audiences: must be at most 100, not 101",
        ),
    ] {
        let answer = server.manage(Method::POST, "/explain", "reader", Some(&question)).await;
        assert_eq!((answer.status, answer.json()["detail"].as_str()), (400, Some(detail)));
    }
    let repeated = server.explain("acme", &["a", "a"], &[]).await;
    assert_eq!(repeated["rule"], "mapping");
    for operator in ["mapper", "scoper", "nobody"] {
        assert_eq!(server.manage(Method::POST, "/explain", operator, None).await.status, 403);
    }
}
