//! What is logged, and what never is.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use jwtlet_testkit::{Fault, KeyType, Kubernetes, LogCapture, TokenPolicy, Vault};
use jwtlet_vault::VaultAuth;
use serde_json::json;
use tempfile::TempDir;
use tracing::{Level, subscriber::DefaultGuard};

use crate::{
    backend::{Backend, Role},
    support::{is_misconfigured, is_unavailable, login, run_ready, settings, settings_for, token},
    testkit::Testkit,
};

/// Captures everything that this thread logs; each test runs on one thread.
pub(crate) fn capture() -> (LogCapture, DefaultGuard) {
    let log = LogCapture::new();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let (log, _guard) = capture();
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("jwtlet", "signer");
    let role = Role { name: "jwtlet", ttl: Duration::from_hours(1), max_ttl: None };
    let backend = Testkit::start_with_login(&kubernetes, role).await;
    backend.create_key("ed25519").await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    backend.vault.on_answer({
        let seen = Arc::clone(&seen);
        move |_, _, answer| {
            let token = answer["auth"]["client_token"].as_str().map(str::to_owned);
            seen.lock().unwrap().extend(token);
        }
    });
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    let jwt = kubernetes.token("jwtlet", "signer").mint();
    fs::write(&file, &jwt).unwrap();
    let running = run_ready(&settings(&backend, login("jwtlet", file.clone()))).await;

    let jws = running.sign().await.unwrap();
    backend.refuse_login_token().await;
    running.signs().await;
    backend.vault.faults().next_on_path(2, "/v1/transit/sign", Fault::Garbage);
    is_unavailable(running.sign().await);

    let wrapped = directory.path().join("wrapped");
    fs::write(&wrapped, r#"{"token":"wrapped-secret"}"#).unwrap();
    let other = crate::support::run(&settings(&backend, VaultAuth::TokenFile(wrapped)));
    other.is_not_ready_because("it holds JSON").await;
    let fixed = crate::support::run(&settings(&backend, token("fixed-secret")));
    fixed.is_not_ready_because("denies access").await;
    let debug = format!("{:?} {:?} {:?}", running.signer, other.signer, fixed.signer);

    let tokens = seen.lock().unwrap().clone();
    assert_eq!(tokens.len(), 2);
    let parts = jws.expose().split('.').skip(1);
    let secrets =
        tokens.iter().map(String::as_str).chain(parts).chain([&*jwt, "wrapped-secret", "fixed-secret"]);
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!debug.contains(secret), "{secret} is in the debug output");
    }
    assert!(log.contains("logged in to Vault") && log.contains("TRACE"), "{}", log.text());
}

#[tokio::test]
async fn a_warning_is_logged_once_and_changes_nothing() {
    let (log, _guard) = capture();
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    vault.on_answer(|_, path, answer| {
        if path.starts_with("transit/sign/") {
            answer["warnings"] =
                json!(["Endpoint ignored these unrecognized parameters: [marshalling_algorithm]"]);
        }
    });
    let vault_token = vault.create_token(&TokenPolicy::signer("signing"));
    let running = run_ready(&settings_for(vault.url(), token(vault_token))).await;
    for _ in 0..3 {
        running.signs().await;
    }
    assert_eq!(log.text().matches("marshalling_algorithm").count(), 1, "{}", log.text());
}

#[tokio::test]
async fn what_vault_says_goes_to_the_log_and_not_to_the_probe() {
    let (log, _guard) = capture();
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let vault_token = vault.create_token(&TokenPolicy::signer("signing"));
    let running = run_ready(&settings_for(vault.url(), token(vault_token))).await;
    vault.faults().always(Fault::vault(403, "sentry\npolicy"));
    is_misconfigured(&running.sign().await);
    running.is_not_ready_because("denies access").await;
    let health = format!("{:?}", jwtlet_core::Signer::health(&*running.signer));
    assert!(!health.contains("sentry"), "{health}");
    assert!(log.contains("status 403") && log.contains(r"sentry\\npolicy"), "{}", log.text());
}
