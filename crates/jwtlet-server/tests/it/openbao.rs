//! The real OpenBao on both sides of jwtlet: as the signer behind it, and as a consumer of its tokens.

use std::fs;

use jwtlet_testkit::{KeyType, OpenBao, Vault};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    checks::verify,
    harness::{CONNECTOR, Harness, KEY},
};

/// What a signer may do, and not more.
pub(crate) const SIGNER: &str = r#"
    path "transit/sign/signing-jwtlet_pc" { capabilities = ["update"] }
    path "transit/keys/signing-jwtlet_pc" { capabilities = ["read"] }
"#;

/// jwtlet with this OpenBao as its Vault and a token that has this policy.
pub(crate) async fn start(bao: &OpenBao, policy: &str) -> (Harness, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, bao.create_token(policy).await.unwrap()).unwrap();
    let variables =
        [("JWTLET__VAULT__URL", &*bao.url()), ("JWTLET__VAULT__TOKEN_FILE", file.to_str().unwrap())];
    let server = Harness::start_as_issuer(Vault::start().await.unwrap(), &variables).await;
    server.map(CONNECTOR, "acme", &["read"], &["data-space", "other"]).await;
    (server, directory)
}

/// A login with a token of jwtlet's at the JWT auth method.
async fn log_in(bao: &OpenBao, token: &str) -> (StatusCode, Value) {
    let login = json!({"role": "service", "jwt": token});
    bao.api(Method::POST, "auth/jwt/login", &login).await.unwrap()
}

#[tokio::test]
async fn openbao_signs_with_each_kind_of_key() {
    let bao = OpenBao::start().await.unwrap();
    for (kind, alg) in [("ed25519", "EdDSA"), ("ecdsa-p256", "ES256"), ("rsa-2048", "RS256")] {
        let path = format!("transit/keys/{KEY}");
        bao.root(Method::POST, &path, &json!({"type": kind})).await.unwrap();
        let (server, _directory) = start(&bao, SIGNER).await;
        let answer = server.exchange(&[("resource", "acme"), ("scope", "read")]).await;
        assert_eq!(answer.token_header()["alg"], alg);
        let claims = verify(&server.issuer(), "data-space", &answer.access_token()).await;
        assert_eq!(claims["act"]["sub"], CONNECTOR);
        bao.root(Method::POST, &format!("{path}/config"), &json!({"deletion_allowed": true})).await.unwrap();
        bao.root(Method::DELETE, &path, &Value::Null).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_openbao_does_not_have_is_made_when_the_policy_allows() {
    let bao = OpenBao::start().await.unwrap();
    let (server, _directory) =
        start(&bao, &SIGNER.replace(r#"["read"]"#, r#"["read", "update", "create"]"#)).await;
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(answer.token_header()["alg"], "EdDSA");
}

#[tokio::test]
async fn a_sealed_openbao_is_an_outage_until_it_is_unsealed() {
    let bao = OpenBao::start().await.unwrap();
    bao.root(Method::POST, &format!("transit/keys/{KEY}"), &json!({"type": "ed25519"})).await.unwrap();
    let (server, _directory) = start(&bao, SIGNER).await;
    bao.seal().await.unwrap();
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
    bao.unseal().await.unwrap();
    server.wait_until_ready().await;
    server.exchange_works().await;
}

#[tokio::test]
async fn openbao_accepts_an_issued_token_of_its_audience_and_refuses_others() {
    let bao = OpenBao::start().await.unwrap();
    let vault = Vault::start().await.unwrap();
    vault.create_key(KEY, KeyType::EcdsaP256).unwrap();
    let server = Harness::start_as_issuer(vault, &[]).await;
    server.map(CONNECTOR, "acme", &[], &["data-space", "other"]).await;
    bao.root(Method::POST, "sys/auth/jwt", &json!({"type": "jwt"})).await.unwrap();
    let discovery = json!({"oidc_discovery_url": server.issuer(), "bound_issuer": server.issuer()});
    bao.root(Method::POST, "auth/jwt/config", &discovery).await.unwrap();
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["data-space"], "policies": ["default"]});
    bao.root(Method::POST, "auth/jwt/role/service", &role).await.unwrap();

    let token = server.exchange(&[("resource", "acme")]).await.access_token();
    let (status, answer) = log_in(&bao, &token).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["auth"]["client_token"].as_str().is_some_and(|token| !token.is_empty()), "{answer}");
    assert_eq!(answer["auth"]["metadata"]["role"], "service");

    let token = server.exchange(&[("resource", "acme"), ("audience", "other")]).await.access_token();
    let (status, answer) = log_in(&bao, &token).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.to_string().contains("audience"), "{answer}");

    // A version that appears after the configuration is found by its kid.
    server.vault.rotate_key(KEY).unwrap();
    server.vault.set_min_decryption_version(KEY, 2).unwrap();
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(answer.token_header()["kid"], format!("{KEY}-2"));
    assert_eq!(log_in(&bao, &answer.access_token()).await.0, 200);
}
