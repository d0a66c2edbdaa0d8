//! `jwtlet exchange`.

use std::{fs, io, os::unix::fs::PermissionsExt};

use insta::assert_snapshot;
use serde_json::json;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn the_token_alone_is_printed() {
    let world = World::start().await.with_policy().await;
    let ran = world.exchange(&["acme", "--scope", "read"]).run().await;
    assert_eq!((ran.status, &*ran.err), (0, ""));
    let parts: Vec<&str> = ran.out.trim_end().split('.').collect();
    assert_eq!((parts.len(), ran.out.lines().count()), (3, 1));
}

#[tokio::test]
async fn decoded_it_shows_header_claims_and_that_the_keys_verify_it() {
    let world = World::start().await.with_policy().await;
    let ran = world.exchange(&["acme", "--scope", "read", "--decode"]).run().await;
    assert_snapshot!(world.fixed(&ran), @r#"
    exit 0
    header
      {
        "alg": "EdDSA",
        "kid": "signing-jwtlet_pc-1",
        "typ": "JWT"
      }
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

    issued  [time]  0s ago
    not before  [time]  0s ago
    expires  [time]  in 5m
    signature  verified with the published key signing-jwtlet_pc-1
    "#);
}

#[tokio::test]
async fn programs_get_the_whole_answer_or_the_decoded_token() {
    let world = World::start().await.with_policy().await;
    let answer =
        world.exchange(&["acme", "--requested-token-type", "access_token", "-o", "json"]).run().await.json();
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(answer["expires_in"], 300);
    let decoded = world.exchange(&["acme", "--decode", "-o", "json"]).run().await.json();
    assert_eq!(decoded["verified"], true);
    assert_eq!(decoded["claims"]["act"]["sub"], CONNECTOR);
    assert_eq!(decoded.get("access_token"), None);
}

#[tokio::test]
async fn audiences_are_requested() {
    let world = World::start().await;
    let audiences = ["--audience", "a", "--audience", "data-space"];
    world.ok(&[&["mapping", "create", CONNECTOR, "acme"][..], &audiences].concat()).await;
    let ran = world.exchange(&[&["acme", "--decode", "-o", "json"][..], &audiences].concat()).run().await;
    assert_eq!(ran.json()["claims"]["aud"], json!(["a", "data-space"]));
}

#[tokio::test]
async fn what_the_policy_does_not_grant_says_so() {
    let world = World::start().await.with_policy().await;
    let ran = world.exchange(&["acme", "--scope", "admin"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 34
    error: the exchange is refused: invalid_scope: request only granted scopes; not granted to this client for this participant context: admin
    help: `jwtlet explain system:serviceaccount:demo:connector acme --scope admin` says which rule refuses it
    ");
    let ran = world.exchange(&["globex"]).run().await;
    ran.assert_fails(34, "the exchange is refused: unauthorized_client: ");
    let ran = world.exchange(&["acme", "--audience", "elsewhere"]).run().await;
    ran.assert_fails(34, "the exchange is refused: invalid_target: ");
}

#[tokio::test]
async fn a_token_that_is_not_good_says_why() {
    let world = World::start().await.with_policy().await;
    let exchange = async |token: String| world.with_token(&token, &["exchange", "acme"]).run().await;
    let expired = exchange(world.subject().expires_in(-10).mint()).await;
    assert_snapshot!(world.fixed(&expired), @"
    exit 21
    error: the token for the exchange API expired at [time]
    help: get a new one: --service-account NAMESPACE/NAME does, and so does the kubelet for a projected token
    ");
    let other = exchange(world.operator("admin").mint()).await;
    assert_snapshot!(world.fixed(&other), @"
    exit 22
    error: the token for the exchange API is refused: subject_token is not bound to the audience jwtlet-exchange; request a token with that audience
    help: the token is for jwtlet-management; `jwtlet token inspect FILE` says what else is wrong with it
    ");
    exchange(world.subject().foreign_key().mint())
        .await
        .assert_fails(22, "the token for the exchange API is refused: ");
}

#[tokio::test]
async fn without_vault_it_says_when_to_try_again() {
    let world = World::start().await.with_policy().await;
    world.vault.stop().await;
    let ran = world.exchange(&["acme"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 15
    error: the server cannot answer now: 503, a system that is needed for the exchange does not answer; try again (request [id])
    help: try again in 1 s; `jwtlet doctor` says what is in the way
    ");
}

#[tokio::test]
async fn the_token_can_be_put_into_a_file_that_others_cannot_read() {
    let world = World::start().await.with_policy().await;
    let file = world.files.path().join("access-token");
    fs::write(&file, "the token before").unwrap();
    let path = file.to_str().unwrap();
    let ran = world.exchange(&["acme", "--scope", "read", "--to-file", path]).run().await;
    assert_eq!(ran.to_string(), "exit 0\n");
    assert_eq!(fs::read_to_string(&file).unwrap().split('.').count(), 3);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777 & !0o040, 0o600);
    assert_eq!(fs::read_dir(world.files.path()).unwrap().filter(is_unfinished).count(), 0);

    let nowhere = world.exchange(&["acme", "--to-file", "/nowhere/token"]).run().await;
    assert_eq!(nowhere.status, 40);
    assert!(nowhere.err.contains("cannot write /nowhere/token"), "{}", nowhere.err);
}

fn is_unfinished(entry: &io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".access-token")
}
