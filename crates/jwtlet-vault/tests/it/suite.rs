//! What every server has to give and every signer has to make of it.

use std::{fs, time::Duration};

use http::Method;
use jwtlet_core::{Signer, health::Health};
use jwtlet_testkit::{Kubernetes, LogCapture, wait_for};
use jwtlet_vault::{RsaAlgorithm, VaultAuth, VaultSettings, VerifySignatures};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tracing::subscriber::DefaultGuard;

use crate::{
    backend::{Backend, Rights, Role},
    logs::capture,
    support::{
        PATIENCE, Running, is_misconfigured, is_unavailable, later, login, now, run, run_ready, settings,
        token,
    },
};

/// A server with an Ed25519 key and a signer that is ready.
async fn prepare<B: Backend>() -> (B, Running) {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let auth = token(backend.token(Rights::Signer).await);
    let running = run_ready(&settings(&backend, auth)).await;
    (backend, running)
}

/// A server without a key and a signer that has begun.
async fn prepare_without_key<B: Backend>(rights: Rights) -> (B, Running) {
    let backend = B::start().await;
    let auth = token(backend.token(rights).await);
    let running = run(&settings(&backend, auth));
    (backend, running)
}

async fn signs_with_type<B: Backend>(kind: &str) -> Value {
    let backend = B::start().await;
    backend.create_key(kind).await;
    let auth = token(backend.token(Rights::Signer).await);
    let running = run_ready(&settings(&backend, auth)).await;
    assert_eq!(running.signs().await, "signing-1");
    running.published()["keys"][0].clone()
}

pub(crate) async fn keys_of_all_supported_types_sign_and_verify_with_their_jwk<B: Backend>() {
    for (kind, kty, alg) in
        [("ed25519", "OKP", "EdDSA"), ("ecdsa-p256", "EC", "ES256"), ("rsa-2048", "RSA", "RS256")]
    {
        let jwk = signs_with_type::<B>(kind).await;
        assert_eq!((&jwk["kty"], &jwk["alg"]), (&json!(kty), &json!(alg)));
    }
}

pub(crate) async fn rsa_keys_sign_with_pss_where_that_is_wanted<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("rsa-2048").await;
    let auth = token(backend.token(Rights::Signer).await);
    let settings = VaultSettings { signature_algorithm: RsaAlgorithm::Ps256, ..settings(&backend, auth) };
    let running = run_ready(&settings).await;
    running.signs().await;
    assert_eq!(running.published()["keys"][0]["alg"], "PS256");
    assert_eq!(running.signs_together(30).await, 30);
}

pub(crate) async fn rsa_keys_of_all_sizes_sign<B: Backend>() {
    for kind in ["rsa-3072", "rsa-4096"] {
        assert_eq!(signs_with_type::<B>(kind).await["alg"], "RS256");
    }
}

pub(crate) async fn a_missing_key_is_created_when_the_policy_allows<B: Backend>() {
    let (_backend, running) = prepare_without_key::<B>(Rights::Creator).await;
    running.becomes_ready().await;
    assert_eq!(running.signs().await, "signing-1");
    assert_eq!(running.published()["keys"][0]["alg"], "EdDSA");
}

pub(crate) async fn a_missing_key_that_may_not_be_created_is_explained<B: Backend>() {
    let (_backend, running) = prepare_without_key::<B>(Rights::Signer).await;
    running.is_not_ready_because("vault write -f transit/keys/signing type=ed25519").await;
    is_misconfigured(&running.sign().await);
    assert!(running.signer.published_keys(now()).is_none());
}

pub(crate) async fn a_key_that_is_created_later_is_found<B: Backend>() {
    let (backend, running) = prepare_without_key::<B>(Rights::Signer).await;
    running.is_not_ready_because("does not exist").await;
    backend.create_key("ecdsa-p256").await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_key_that_is_deleted_while_running_is_not_made_anew<B: Backend>() {
    let backend = B::start().await;
    let auth = token(backend.token(Rights::Creator).await);
    let running = run_ready(&settings(&backend, auth)).await;
    backend.configure(json!({ "deletion_allowed": true })).await;
    backend.root(Method::DELETE, "transit/keys/signing", Value::Null).await;
    is_misconfigured(&running.sign().await);
    running.is_not_ready_because("does not exist").await;
    backend.create_key("ed25519").await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_missing_transit_engine_is_explained<B: Backend>() {
    let backend = B::start().await;
    let settings = VaultSettings {
        transit_mount: "elsewhere".parse().unwrap(),
        ..settings(&backend, token(backend.root_token()))
    };
    let running = run(&settings);
    running.is_not_ready_because("vault secrets enable -path=elsewhere transit").await;
    is_misconfigured(&running.sign().await);
}

pub(crate) async fn keys_that_cannot_sign_jwts_are_refused_with_the_reason<B: Backend>() {
    for (key, reason) in [
        (json!({ "type": "aes256-gcm96" }), "its type aes256-gcm96 is symmetric"),
        (
            json!({ "type": "hmac", "key_size": 32 }),
            "its type hmac makes signatures that nobody but Vault can verify",
        ),
        (json!({ "type": "ed25519", "derived": true }), "it is a derived key"),
    ] {
        let (backend, running) = prepare_without_key::<B>(Rights::Signer).await;
        backend.root(Method::POST, "transit/keys/signing", key).await;
        running.is_not_ready_because(reason).await;
        is_misconfigured(&running.sign().await);
    }
    let (backend, running) = prepare_without_key::<B>(Rights::Signer).await;
    backend.create_key("ed25519").await;
    backend.root(Method::DELETE, "transit/keys/signing/soft-delete", Value::Null).await;
    running.is_not_ready_because("it is soft-deleted").await;
}

pub(crate) async fn a_key_that_is_soft_deleted_while_running_is_explained_and_stays_published<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.root(Method::DELETE, "transit/keys/signing/soft-delete", Value::Null).await;
    is_misconfigured(&running.sign().await);
    running.is_not_ready_because("it is soft-deleted").await;
    assert_eq!(running.published_kids(), ["signing-1"]);
    backend.root(Method::POST, "transit/keys/signing/soft-delete-restore", json!({})).await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_wrong_token_is_an_operators_matter<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let running = run(&settings(&backend, token("s.wrong")));
    running.is_not_ready_because("Vault denies access to transit/keys/signing").await;
    is_misconfigured(&running.sign().await);
}

pub(crate) async fn a_revoked_token_is_an_operators_matter<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let vault_token = backend.token(Rights::Signer).await;
    let running = run_ready(&settings(&backend, token(vault_token.clone()))).await;
    backend.revoke(&vault_token).await;
    is_misconfigured(&running.sign().await);
    running.is_not_ready_because("the token is invalid or expired").await;
    assert_eq!(running.published_kids(), ["signing-1"]);
}

pub(crate) async fn a_token_that_may_read_but_not_sign_never_becomes_ready<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let running = run(&settings(&backend, token(backend.token(Rights::Reader).await)));
    running.is_not_ready_because(r#"path "transit/sign/signing" { capabilities = ["update"] }"#).await;
    is_misconfigured(&running.sign().await);
    assert_ne!(running.signer.health(), Health::Ready);
    assert_eq!(running.published_kids(), ["signing-1"]);
}

pub(crate) async fn a_replaced_token_file_is_used_at_once<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    let first = backend.token(Rights::Signer).await;
    fs::write(&file, format!("{first}\n")).unwrap();
    let running = run_ready(&settings(&backend, VaultAuth::TokenFile(file.clone()))).await;
    fs::write(&file, backend.token(Rights::Signer).await).unwrap();
    backend.revoke(&first).await;
    running.signs().await;
}

pub(crate) async fn a_sealed_server_is_an_outage_that_ends_by_itself<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.seal().await;
    is_unavailable(running.sign().await);
    running.is_not_ready_because("with status 503").await;
    assert_eq!(running.published_kids(), ["signing-1"]);
    backend.unseal().await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_server_that_is_sealed_at_the_start_delays_readiness<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let auth = token(backend.token(Rights::Signer).await);
    backend.seal().await;
    let running = run(&settings(&backend, auth));
    running.is_not_ready_because("with status 503").await;
    is_unavailable(running.sign().await);
    backend.unseal().await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_new_version_is_published_at_once_and_signs_later<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.rotate().await;
    running.publishes(&["signing-1", "signing-2"]).await;
    assert_eq!(running.signs().await, "signing-1");
    assert_eq!(running.signs_at(later()).await, "signing-2");
}

pub(crate) async fn a_version_below_the_minimum_stops_signing_at_once<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.rotate().await;
    running.publishes(&["signing-1", "signing-2"]).await;
    assert_eq!(running.signs().await, "signing-1");
    backend.configure(json!({ "min_decryption_version": 2 })).await;
    assert_eq!(running.signs().await, "signing-2");
    running.publishes(&["signing-2"]).await;
}

pub(crate) async fn a_minimum_for_signing_is_respected<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.rotate().await;
    backend.rotate().await;
    backend.configure(json!({ "min_encryption_version": 2 })).await;
    running.publishes(&["signing-1", "signing-2", "signing-3"]).await;
    assert_eq!(running.signs().await, "signing-2");
    assert_eq!(running.signs_at(later()).await, "signing-3");
}

/// A server with a Kubernetes login, and a signer that has logged in with its service account.
struct LoggedIn<B> {
    kubernetes: Kubernetes,
    backend: B,
    running: Running,
    directory: TempDir,
    log: LogCapture,
    _guard: DefaultGuard,
}

impl<B: Backend> LoggedIn<B> {
    async fn prepare(ttl: u64, max_ttl: Option<u64>) -> Self {
        let (log, guard) = capture();
        // OpenBao wants the certificate authority of the cluster, so the cluster has one.
        let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
        kubernetes.create_service_account("jwtlet", "signer");
        let role =
            Role { name: "jwtlet", ttl: Duration::from_secs(ttl), max_ttl: max_ttl.map(Duration::from_secs) };
        let backend = B::start_with_login(&kubernetes, role).await;
        backend.create_key("ed25519").await;
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, kubernetes.token("jwtlet", "signer").mint()).unwrap();
        let running = run_ready(&settings(&backend, login("jwtlet", file))).await;
        assert_eq!(kubernetes.reviews(), 1);
        Self { kubernetes, backend, running, directory, log, _guard: guard }
    }

    /// How often the signer has logged in. OpenBao asks the cluster at each renewal too, so reviews do not tell.
    fn logins(&self) -> usize {
        self.log.text().matches("logged in to Vault").count()
    }
}

pub(crate) async fn a_login_is_renewed_before_it_ends<B: Backend>() {
    let prepared = LoggedIn::<B>::prepare(3, None).await;
    let end = Instant::now() + Duration::from_secs(5);
    let outlived = async || {
        prepared.running.signs().await;
        Instant::now() > end
    };
    wait_for(outlived, PATIENCE).await.unwrap();
    assert_eq!(prepared.logins(), 1);
}

pub(crate) async fn a_login_at_its_greatest_age_is_followed_by_another<B: Backend>() {
    let prepared = LoggedIn::<B>::prepare(3, Some(3)).await;
    let followed = async || {
        prepared.running.signs().await;
        prepared.logins() > 1
    };
    wait_for(followed, PATIENCE).await.unwrap();
    prepared.running.signs().await;
}

pub(crate) async fn a_refused_login_token_is_replaced<B: Backend>() {
    let prepared = LoggedIn::<B>::prepare(3600, None).await;
    prepared.backend.refuse_login_token().await;
    prepared.running.signs().await;
    assert_eq!(prepared.logins(), 2);
}

pub(crate) async fn an_unknown_role_is_an_operators_matter<B: Backend>() {
    let LoggedIn { kubernetes, backend, directory, .. } = &LoggedIn::<B>::prepare(3600, None).await;
    let file = directory.path().join("token");
    let running = run(&settings(backend, login("unknown", file.clone())));
    running.is_not_ready_because("refuses the login with the role \"unknown\" at auth/kubernetes").await;
    is_misconfigured(&running.sign().await);

    kubernetes.create_service_account("jwtlet", "other");
    fs::write(&file, kubernetes.token("jwtlet", "other").mint()).unwrap();
    let running = run(&settings(backend, login("jwtlet", file)));
    running.is_not_ready_because("refuses the login with the role \"jwtlet\"").await;
}

pub(crate) async fn a_namespace_is_respected<B: Backend>() {
    let backend = B::start_in_namespace("team-a").await;
    backend.create_key("ed25519").await;
    let inside = settings(&backend, token(backend.root_token()));
    run_ready(&inside).await.signs().await;
    let elsewhere = VaultSettings { namespace: Some("team-b".parse().unwrap()), ..inside };
    let running = run(&elsewhere);
    running.is_not_ready_because("vault.namespace").await;
    is_misconfigured(&running.sign().await);
}

pub(crate) async fn hundreds_of_exchanges_at_once_all_get_their_own_token<B: Backend>() {
    for kind in ["ed25519", "ecdsa-p256"] {
        let backend = B::start().await;
        backend.create_key(kind).await;
        let auth = token(backend.token(Rights::Signer).await);
        for verify_signatures in [VerifySignatures::Sampled, VerifySignatures::Always] {
            let settings = VaultSettings { verify_signatures, ..settings(&backend, auth.clone()) };
            assert_eq!(run_ready(&settings).await.signs_together(300).await, 300);
        }
    }
}
