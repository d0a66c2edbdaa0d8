//! `jwtlet token inspect`.

use insta::assert_snapshot;
use jwtlet_testkit::Kubernetes;
use serde_json::json;

use crate::world::{World, fixed, jwtlet};

async fn cluster() -> Kubernetes {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("demo", "connector");
    kubernetes
}

#[tokio::test]
async fn a_token_is_shown_with_the_port_it_is_good_for() {
    let kubernetes = cluster().await;
    let token = kubernetes.token("demo", "connector").audience("jwtlet-exchange").mint();
    let ran = jwtlet(&["token", "inspect"]).input(&format!(" {token}\n")).run().await;
    assert_snapshot!(fixed(&ran.to_string()), @r#"
    exit 0
    header
      {
        "alg": "RS256",
        "kid": "[kid]"
      }
    claims
      {
        "aud": [
          "jwtlet-exchange"
        ],
        "exp": [seconds],
        "iat": [seconds],
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "[id]",
        "kubernetes.io": {
          "namespace": "demo",
          "serviceaccount": {
            "name": "connector",
            "uid": "[id]"
          }
        },
        "nbf": [seconds],
        "sub": "system:serviceaccount:demo:connector"
      }

    issued  [time]  0s ago
    not before  [time]  0s ago
    expires  [time]  in 1h
    for the exchange API: usable, if the cluster accepts it
    for the management API: the token is not bound to the audience jwtlet-management; request a token with that audience
    "#);
    assert!(!ran.out.contains(&token));
}

#[tokio::test]
async fn every_fault_is_named_and_no_token_is_printed() {
    let kubernetes = cluster().await;
    let token = || kubernetes.token("demo", "connector").audience("jwtlet-exchange");
    for (token, reason) in [
        (token().expires_in(-1).mint(), "has expired"),
        (token().not_before_in(100).mint(), "is not valid yet"),
        (token().subject("system:node:n").mint(), "does not belong to a Kubernetes service account"),
        (token().header("alg", "HS256").mint(), "has a JWT header that is not accepted: alg must name"),
        (kubernetes.token("demo", "connector").mint(), "is not bound to the audience jwtlet-exchange"),
    ] {
        let ran = jwtlet(&["token", "inspect", "-"]).input(&token).run().await;
        assert_eq!(ran.status, 1, "{ran}");
        assert!(ran.out.contains(&format!("for the exchange API: the token {reason}")), "{ran}");
        assert!(!ran.to_string().contains(&token));
    }
}

#[tokio::test]
async fn a_token_that_jwtlet_issued_is_of_no_use_to_jwtlet() {
    let world = World::start().await.with_policy().await;
    let issued = world.exchange(&["acme"]).run().await.out;
    let file = world.write("issued", &issued);
    let ran = jwtlet(&["token", "inspect", file.to_str().unwrap(), "-o", "json"]).run().await;
    assert_eq!(ran.status, 1);
    let reason = "the token is not bound to the audience jwtlet-exchange; request a token with that audience";
    assert_eq!(ran.json()["usable"]["exchange"], json!({"usable": false, "reason": reason}));
}

#[tokio::test]
async fn what_is_not_a_token_is_refused() {
    for text in ["", "hello", "a.b.c", "{}.{}.x"] {
        let ran = jwtlet(&["token", "inspect"]).input(text).run().await;
        ran.assert_fails(1, "the token is not a JWT in compact form");
    }
    let ran = jwtlet(&["token", "inspect", "/nonexistent"]).run().await;
    ran.assert_fails(2, "cannot read /nonexistent: No such file or directory");
}

#[tokio::test]
async fn a_token_in_the_place_of_a_name_is_not_repeated() {
    let token = cluster().await.token("demo", "connector").mint();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("token");
    std::fs::write(&file, &token).unwrap();
    let ran = jwtlet(&["token", "inspect", &token]).run().await;
    ran.assert_fails(2, "the name of the file looks like a token");
    let wrong: [&[&str]; 4] = [
        &["exchange", "acme", &token],
        &["doctor", "--token-file", &token],
        &["mapping", "list", "--server", &token],
        &[
            "mapping",
            "get",
            &token,
            &token,
            "-v",
            "--server",
            "http://127.0.0.1:1",
            "--token-file",
            "/dev/null",
        ],
    ];
    for arguments in wrong {
        let ran = jwtlet(arguments).run().await;
        assert_ne!(ran.status, 0);
        assert!(!ran.to_string().contains(&token), "{arguments:?}");
    }
    let signature = token.rsplit('.').next().unwrap();
    for glued in [
        format!("{token}."),
        format!("x.{token}"),
        format!("my-{token}"),
        format!("Bearer_{token}"),
        format!("/tmp/token_{token}"),
    ] {
        let get = ["mapping", "get", &glued, "acme", "-v", "--server", "http://127.0.0.1:1"];
        for arguments in [
            [&get[..], &["--token-file", file.to_str().unwrap()]].concat(),
            vec!["doctor", "--server", "http://127.0.0.1:1", "--token-file", &glued],
            vec!["exchange", "acme", &glued],
            vec!["token", "inspect", &glued],
            vec!["policy", "apply", "-f", &glued],
        ] {
            let ran = jwtlet(&arguments).run().await;
            assert_ne!(ran.status, 0);
            assert!(!ran.to_string().contains(signature), "{ran}");
        }
    }
}
