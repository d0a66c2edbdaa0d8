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
