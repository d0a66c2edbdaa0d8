//! A running signer, and what the tests ask of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use jwtlet_core::{Signer, UpstreamError, health::Health, jws::CompactJws};
use jwtlet_testkit::wait_until;
use jwtlet_vault::{KubernetesLogin, RsaAlgorithm, VaultAuth, VaultSettings, VaultSigner, VerifySignatures};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{backend::Backend, verify::verified};

/// How long to wait for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a version is published before it signs.
pub(crate) const PUBLISHED_FIRST: Duration = Duration::from_mins(10);

/// How long the tokens of these tests live.
pub(crate) const TOKEN_TTL: Duration = Duration::from_mins(5);

/// A signer with its background work, which ends with it.
pub(crate) struct Running {
    pub(crate) signer: Arc<VaultSigner>,
    work: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.work.abort();
    }
}

pub(crate) fn settings(backend: &impl Backend, auth: VaultAuth) -> VaultSettings {
    let namespace = backend.namespace();
    VaultSettings {
        namespace: (!namespace.is_empty()).then(|| namespace.parse().unwrap()),
        ..settings_for(backend.url(), auth)
    }
}

pub(crate) fn settings_for(url: String, auth: VaultAuth) -> VaultSettings {
    VaultSettings {
        url,
        auth,
        key_name: "signing".parse().unwrap(),
        transit_mount: "transit".parse().unwrap(),
        namespace: None,
        ca_file: None,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(2),
        publish_before_sign: PUBLISHED_FIRST,
        token_ttl: TOKEN_TTL,
        max_batch: 200,
        max_in_flight: 4,
        verify_signatures: VerifySignatures::Sampled,
        signature_algorithm: RsaAlgorithm::Rs256,
    }
}

pub(crate) fn token(token: impl Into<String>) -> VaultAuth {
    VaultAuth::Token(SecretString::from(token.into()))
}

pub(crate) fn login(role: &str, token_file: PathBuf) -> VaultAuth {
    let mount = "kubernetes".parse().unwrap();
    VaultAuth::Kubernetes(KubernetesLogin { role: role.to_owned(), mount, token_file })
}

/// What the server does in `main`.
pub(crate) fn install_crypto_provider() {
    // Another test was faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Starts a signer; it need not become ready.
pub(crate) fn run(settings: &VaultSettings) -> Running {
    run_refreshing(settings, Duration::from_millis(200))
}

/// Starts a signer that reads the key at this interval.
pub(crate) fn run_refreshing(settings: &VaultSettings, interval: Duration) -> Running {
    install_crypto_provider();
    let signer = Arc::new(VaultSigner::new(settings).with_refresh_interval(interval));
    let work = tokio::spawn({
        let signer = Arc::clone(&signer);
        async move { signer.run().await }
    });
    Running { signer, work }
}

/// Starts a signer and waits until it is ready.
pub(crate) async fn run_ready(settings: &VaultSettings) -> Running {
    let running = run(settings);
    running.becomes_ready().await;
    running
}

#[expect(clippy::disallowed_methods, reason = "a real server stamps its keys with the real time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A time at which every key of a test is old enough to sign.
pub(crate) fn later() -> Timestamp {
    now() + SignedDuration::try_from(PUBLISHED_FIRST * 2).unwrap()
}

impl Running {
    pub(crate) async fn becomes_ready(&self) {
        let ready = wait_until(|| self.signer.health() == Health::Ready, PATIENCE).await;
        assert!(ready.is_ok(), "{:?}", self.signer.health());
    }

    /// Waits until the signer is not ready for a reason with these words in it.
    pub(crate) async fn is_not_ready_because(&self, words: &str) {
        let says = || matches!(self.signer.health(), Health::NotReady(text) if text.contains(words));
        let said = wait_until(says, PATIENCE).await;
        assert!(said.is_ok(), "{words:?} is not in {:?}", self.signer.health());
    }

    pub(crate) async fn sign(&self) -> Result<CompactJws, UpstreamError> {
        self.sign_at(now()).await
    }

    pub(crate) async fn sign_at(&self, now: Timestamp) -> Result<CompactJws, UpstreamError> {
        self.signer.sign(br#"{"sub":"a"}"#, now).await
    }

    /// Signs, and verifies the result with another library and the published keys. Returns the `kid`.
    pub(crate) async fn signs(&self) -> String {
        self.signs_at(now()).await
    }

    pub(crate) async fn signs_at(&self, now: Timestamp) -> String {
        let jws = self.sign_at(now).await.unwrap();
        let (kid, claims) = self.verify(&jws);
        assert_eq!(claims, json!({ "sub": "a" }));
        kid
    }

    pub(crate) fn verify(&self, jws: &CompactJws) -> (String, Value) {
        verified(jws, &self.published()).unwrap()
    }

    /// Signs for so many callers at the same time, with a payload each; everyone must get the own one. Returns for how
    /// many it did, and ends the test when anyone got something else.
    pub(crate) async fn signs_together(&self, callers: usize) -> usize {
        let outcomes = self.sign_together(callers).await;
        let signed = outcomes.into_iter().map(|(_, outcome)| outcome.unwrap()).collect::<Vec<_>>();
        signed.len()
    }

    /// The outcome for each of so many callers at the same time, by number. What is signed is theirs.
    pub(crate) async fn sign_together(
        &self,
        callers: usize,
    ) -> Vec<(usize, Result<CompactJws, UpstreamError>)> {
        let calls = (0..callers).map(|caller| {
            let signer = Arc::clone(&self.signer);
            tokio::spawn(async move {
                let payload = json!({ "caller": caller }).to_string();
                (caller, signer.sign(payload.as_bytes(), now()).await)
            })
        });
        let mut outcomes = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            let (caller, outcome) = call.await.unwrap();
            if let Ok(jws) = &outcome {
                assert_eq!(self.verify(jws).1, json!({ "caller": caller }));
            }
            outcomes.push((caller, outcome));
        }
        outcomes
    }

    pub(crate) fn published(&self) -> Value {
        serde_json::to_value(&*self.signer.published_keys(now()).unwrap()).unwrap()
    }

    pub(crate) fn published_kids(&self) -> Vec<String> {
        self.published_kids_at(now())
    }

    pub(crate) fn published_kids_at(&self, now: Timestamp) -> Vec<String> {
        let keys = self.signer.published_keys(now);
        keys.iter().flat_map(|keys| keys.keys.iter()).map(|key| key.kid().to_owned()).collect()
    }

    pub(crate) async fn publishes(&self, kids: &[&str]) {
        let published = wait_until(|| self.published_kids() == kids, PATIENCE).await;
        assert!(published.is_ok(), "{:?}", self.published_kids());
    }
}

pub(crate) fn is_unavailable(outcome: Result<CompactJws, UpstreamError>) -> Option<Duration> {
    match outcome {
        Err(UpstreamError::Unavailable { retry_after, .. }) => retry_after,
        other => panic!("{other:?} is not an outage"),
    }
}

pub(crate) fn is_misconfigured(outcome: &Result<CompactJws, UpstreamError>) {
    assert!(
        matches!(outcome, Err(UpstreamError::Misconfigured { .. })),
        "{outcome:?} is not an operator's matter"
    );
}
