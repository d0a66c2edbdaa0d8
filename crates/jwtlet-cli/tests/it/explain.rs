//! `jwtlet explain`.

use insta::assert_snapshot;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn a_grant_is_told_rule_by_rule_with_the_claims() {
    let world = World::start().await.with_policy().await;
    let ran = world.ok(&["explain", CONNECTOR, "acme", "--scope", "read"]).await;
    assert_snapshot!(world.fixed(&ran), @r#"
    exit 0
    HELD  RULE      WHY
    yes   mapping   there is a mapping of system:serviceaccount:demo:connector for acme
    yes   expiry    the mapping does not expire
    yes   scopes    the mapping has the requested scopes: read
    yes   audience  allowed: data-space
    yes   claims    the granted scopes add the claims role

    granted
    claims
      {
        "act": {
          "iss": "https://kubernetes.default.svc.cluster.local",
          "k8s_uid": "[id]",
          "sub": "system:serviceaccount:demo:connector"
        },
        "aud": "data-space",
        "exp": [seconds],
        "iat": [seconds],
        "iss": "https://jwtlet.example.com",
        "jti": "[id]",
        "jwtlet_pc": "acme",
        "nbf": [seconds],
        "role": "reader",
        "sub": "acme"
      }
    "#);
}

#[tokio::test]
async fn a_refusal_ends_with_the_rule_that_refuses_and_exit_status_1() {
    let world = World::start().await.with_policy().await;
    let ran = world.jwtlet(&["explain", CONNECTOR, "acme", "--scope", "admin"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 1
    HELD  RULE     WHY
    yes   mapping  there is a mapping of system:serviceaccount:demo:connector for acme
    yes   expiry   the mapping does not expire
    no    scopes   request only granted scopes; not granted to this client for this participant context: admin

    refused: 403 invalid_scope: request only granted scopes; not granted to this client for this participant context: admin
    ");
    let ran = world.jwtlet(&["explain", CONNECTOR, "globex", "-o", "json"]).run().await;
    assert_eq!((ran.status, &ran.json()["rule"]), (1, &"mapping".into()));
}

#[tokio::test]
async fn a_refused_exchange_is_explained_to_its_cause_by_the_one_call_that_its_message_names() {
    let world = World::start().await.with_policy().await;
    world.ok(&["mapping", "create", CONNECTOR, "late", "--expires-at", "2020-01-01T00:00:00Z"]).await;
    world.ok(&["scope", "create", "write", "--claims", r#"{"role": "writer"}"#]).await;
    for (rule, request) in [
        ("mapping", &["globex"][..]),
        ("expiry", &["late"]),
        ("scopes", &["acme", "--scope", "read", "--scope", "management-api:*:read"]),
        ("audience", &["acme", "--audience", "it's elsewhere"]),
        ("claims", &["acme", "--scope", "read", "--scope", "write"]),
    ] {
        let refused = world.exchange(request).run().await;
        assert_eq!(refused.status, 34, "{refused}");
        let call = refused.err.split('`').nth(1).unwrap().strip_prefix("jwtlet ").unwrap();
        let words =
            std::process::Command::new("bash").args(["-c", &format!("printf '%s\\n' {call}")]).output();
        let words = String::from_utf8(words.unwrap().stdout).unwrap();
        let words: Vec<&str> = words.lines().chain(["-o", "json"]).collect();
        let explained = world.jwtlet(&words).run().await;
        let answer = explained.json();
        assert_eq!((explained.status, &answer["rule"]), (1, &rule.into()), "{call}");
        let reason = answer["reason"].as_str().unwrap();
        assert!(refused.err.contains(reason), "{reason} is not in {refused}");
    }
}
