//! Starting without the others, keys that vanish and credentials that change: jwtlet gets by without a restart.

use std::fs;

use jwtlet_testkit::{Kubernetes, TokenPolicy, Vault, wait_for};

use crate::harness::{CONNECTOR, Harness, KEY, PATIENCE};

const JWKS: &str = "/.well-known/jwks.json";

/// Puts a Vault token that may use the key, and not make one, in the place of the present one.
fn take_away_the_right_to_create(server: &Harness) {
    let file = server.files.path().join("vault-token");
    let former = fs::read_to_string(&file).unwrap();
    fs::write(&file, server.vault.create_token(&TokenPolicy::signer(KEY))).unwrap();
    server.vault.revoke_token(&former);
}

#[tokio::test]
async fn with_both_neighbours_away_it_starts_and_becomes_ready_by_itself() {
    let (kubernetes, vault) = (Kubernetes::start().await.unwrap(), Vault::start().await.unwrap());
    kubernetes.stop().await;
    vault.stop().await;
    let server = Harness::launch(kubernetes, vault, &[]).await;
    assert_eq!((server.get("/livez").await.status, server.get("/health").await.status), (200, 200));
    insta::assert_snapshot!(server.get("/readyz").await, @r#"
    503
    content-type: text/plain; charset=utf-8
    cache-control: no-store
    Kubernetes: not ready
    Vault: not ready
    "#);
    insta::assert_snapshot!(server.get(JWKS).await, @r#"
    503
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 1
    {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the signing key has not been read yet"}
    "#);
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");

    server.kubernetes.restart().await.unwrap();
    wait_for(async || server.get("/readyz").await.body == "Vault: not ready\n", PATIENCE).await.unwrap();
    server.map(CONNECTOR, "acme", &[], &[]).await;
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");

    server.vault.restart().await.unwrap();
    server.wait_until_ready().await;
    assert_eq!(
        (server.get("/readyz").await.body, server.get(JWKS).await.status),
        ("ready\n".to_owned(), 200)
    );
    server.exchange_works().await;
}

#[tokio::test]
async fn without_its_token_files_it_starts_and_waits_for_them() {
    let server = Harness::launch(
        Kubernetes::start().await.unwrap(),
        Vault::start().await.unwrap(),
        &[
            ("JWTLET__K8S__TOKEN_FILE", "/nonexistent/token"),
            ("JWTLET__VAULT__TOKEN_FILE", "/nonexistent/vault"),
        ],
    )
    .await;
    assert_eq!(server.get("/livez").await.status, 200);
    assert_eq!(server.get("/readyz").await.body, "Kubernetes: not ready\nVault: not ready\n");
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
}

#[tokio::test]
async fn published_keys_stay_while_vault_is_away() {
    let server = Harness::with_acme().await;
    let keys = server.get(JWKS).await;
    server.vault.stop().await;
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
    assert_eq!(server.get("/readyz").await.status, 503);
    let still = server.get(JWKS).await;
    assert_eq!((still.status, still.body), (200, keys.body));
    assert_eq!(server.get("/.well-known/openid-configuration").await.status, 200);
}

#[tokio::test]
async fn a_reviewer_token_that_was_rotated_is_read_again_at_once() {
    let server = Harness::with_acme().await;
    let renewed = server.kubernetes.rotate_reviewer_token();
    fs::write(server.files.path().join("reviewer-token"), renewed + "\n").unwrap();
    server.exchange_works().await;
}

#[tokio::test]
async fn a_reviewer_token_that_was_revoked_is_an_error_of_ours_until_the_file_has_another() {
    let server = Harness::with_acme().await;
    let renewed = server.kubernetes.rotate_reviewer_token();
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    assert_eq!(server.get("/readyz").await.body, "Kubernetes: not ready\n");
    let file = server.files.path().join("reviewer-token");
    for unusable in ["", "two words"] {
        fs::write(&file, unusable).unwrap();
        server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    }
    fs::write(&file, renewed).unwrap();
    server.exchange_works().await;
}

#[tokio::test]
async fn a_reviewer_without_the_right_to_review_works_as_soon_as_it_has_it() {
    let server = Harness::with_acme().await;
    server.kubernetes.forbid_reviews(true);
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    server.kubernetes.forbid_reviews(false);
    server.exchange_works().await;
}

#[tokio::test]
async fn a_vault_token_that_was_replaced_is_read_again_at_once() {
    let server = Harness::with_acme().await;
    let file = server.files.path().join("vault-token");
    let former = fs::read_to_string(&file).unwrap();
    let renewed = server.vault.create_token(&TokenPolicy::signer(KEY));
    fs::write(&file, renewed + "\n").unwrap();
    server.vault.revoke_token(&former);
    server.exchange_works().await;
}

#[tokio::test]
async fn a_vault_token_that_was_revoked_is_an_error_of_ours_until_the_file_has_another() {
    let server = Harness::with_acme().await;
    let file = server.files.path().join("vault-token");
    server.vault.revoke_token(&fs::read_to_string(&file).unwrap());
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    assert_eq!(server.get("/readyz").await.body, "Vault: not ready\n");
    fs::write(&file, server.vault.create_token(&TokenPolicy::signer(KEY))).unwrap();
    server.wait_until_ready().await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_missing_key_that_jwtlet_may_not_make_is_an_error_of_ours_until_it_exists() {
    let vault = Vault::start().await.unwrap();
    vault.seal(true);
    let server = Harness::launch(Kubernetes::start().await.unwrap(), vault, &[]).await;
    take_away_the_right_to_create(&server);
    server.map(CONNECTOR, "acme", &[], &[]).await;
    server.vault.seal(false);
    // Whether the key can be made is known when Vault has been asked once more.
    let refused = async || server.exchange(&[("resource", "acme")]).await.status == 500;
    wait_for(refused, PATIENCE).await.unwrap();
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    assert_eq!(server.get(JWKS).await.status, 503);
    server.vault.create_key(KEY, jwtlet_testkit::KeyType::Ed25519).unwrap();
    server.wait_until_ready().await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_key_that_was_deleted_and_may_not_be_made_anew_is_an_error_of_ours() {
    let server = Harness::with_acme().await;
    take_away_the_right_to_create(&server);
    server.exchange_works().await;
    server.vault.delete_key(KEY);
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    assert_eq!(server.get("/readyz").await.body, "Vault: not ready\n");
}

#[tokio::test]
async fn a_key_that_was_soft_deleted_is_an_error_of_ours() {
    let server = Harness::with_acme().await;
    server.vault.soft_delete_key(KEY).unwrap();
    server.exchange(&[("resource", "acme")]).await.assert_refused(500, "server_error");
    assert_eq!(server.get("/readyz").await.body, "Vault: not ready\n");
}

#[tokio::test]
async fn after_an_emergency_retirement_the_next_version_signs_in_the_same_request() {
    let server = Harness::with_acme().await;
    assert_eq!(server.exchange(&[("resource", "acme")]).await.token_header()["kid"], "signing-jwtlet_pc-1");
    server.vault.rotate_key(KEY).unwrap();
    server.vault.set_min_decryption_version(KEY, 2).unwrap();
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_eq!(answer.token_header()["kid"], "signing-jwtlet_pc-2");
    let keys = server.get(JWKS).await;
    assert!(
        !keys.body.contains("signing-jwtlet_pc-1") && keys.body.contains("signing-jwtlet_pc-2"),
        "{keys}"
    );
}
