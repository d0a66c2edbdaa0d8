//! A verifier in front of a cluster, and what the tests ask of it.

use std::{fs, path::PathBuf, time::Duration};

use jiff::Timestamp;
use jwtlet_core::{
    Audience, Subject, SubjectToken, SubjectVerifier, UpstreamError,
    health::Health,
    subject::{Rejection, VerifyError},
};
use jwtlet_kubernetes::{KubernetesSettings, KubernetesVerifier};
use jwtlet_testkit::{Kubernetes, TokenBuilder};
use tempfile::TempDir;

/// How long to wait for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const AUDIENCE: &str = "jwtlet-exchange";
pub(crate) const CONNECTOR: &str = "system:serviceaccount:demo:connector";

/// A cluster that knows `demo:connector`, and the files and the verifier in front of it.
pub(crate) struct Cluster {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) verifier: KubernetesVerifier,
    /// The uid of `demo:connector`.
    pub(crate) uid: String,
    files: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut KubernetesSettings)) -> Self {
        Self::around(Kubernetes::start().await.unwrap(), change)
    }

    pub(crate) fn around(kubernetes: Kubernetes, change: impl FnOnce(&mut KubernetesSettings)) -> Self {
        // Another test was faster.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let uid = kubernetes.create_service_account("demo", "connector");
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("token"), kubernetes.reviewer_token()).unwrap();
        let mut settings = KubernetesSettings {
            api_server_url: kubernetes.url(),
            token_file: files.path().join("token"),
            ca_file: files.path().join("ca.crt"),
            require_service_account: true,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            review_cache_ttl: Duration::ZERO,
            review_cache_max_entries: 1_000,
            max_concurrent_reviews: 64,
            max_waiting_reviews: 64,
        };
        change(&mut settings);
        Self { verifier: KubernetesVerifier::new(settings), kubernetes, uid, files }
    }

    /// The file with the verifier's own token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.files.path().join("token")
    }

    pub(crate) fn write_token(&self, text: &str) {
        fs::write(self.token_file(), text).unwrap();
    }

    /// A token of `demo:connector` for our audience, to be changed.
    pub(crate) fn token(&self) -> TokenBuilder {
        self.kubernetes.token("demo", "connector").audience(AUDIENCE)
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Subject, VerifyError> {
        let audience = Audience::parse(AUDIENCE).unwrap();
        let token = SubjectToken::parse(token).map_err(VerifyError::Rejected)?;
        self.verifier.verify(&token, &audience, now()).await
    }

    /// Verifies a current token.
    pub(crate) async fn verify_good(&self) -> Result<Subject, VerifyError> {
        self.verify(&self.token().mint()).await
    }

    /// A current token is accepted.
    pub(crate) async fn accepts(&self) {
        let subject = self.verify_good().await.unwrap();
        assert_eq!(subject.identity.as_str(), CONNECTOR);
    }

    /// Why this token is rejected: the caller's fault.
    pub(crate) async fn rejects(&self, token: &str) -> Rejection {
        match self.verify(token).await {
            Err(VerifyError::Rejected(rejection)) => rejection,
            other => panic!("{other:?} is not a rejection"),
        }
    }

    /// A current token cannot be checked now. Gives the advice on when to come back, and all causes in one line.
    pub(crate) async fn is_unavailable(&self) -> (Option<Duration>, String) {
        match self.verify_good().await {
            Err(VerifyError::Upstream(error @ UpstreamError::Unavailable { retry_after, .. })) => {
                (retry_after, jwtlet_core::upstream::chain(&error))
            }
            other => panic!("{other:?} is not an outage"),
        }
    }

    /// A current token cannot be checked until an operator acts. Gives all causes in one line.
    pub(crate) async fn is_misconfigured(&self) -> String {
        match self.verify_good().await {
            Err(VerifyError::Upstream(error @ UpstreamError::Misconfigured { .. })) => {
                jwtlet_core::upstream::chain(&error).replace(&*self.files.path().to_string_lossy(), "")
            }
            other => panic!("{other:?} is not an operator's matter"),
        }
    }

    /// What the verifier reports to the readiness probe, and the reason if it is not ready.
    pub(crate) fn reported(&self) -> Option<String> {
        match self.verifier.health() {
            Health::Ready => None,
            Health::NotReady(reason) => Some(reason.into_owned()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the testkit stamps its tokens with the real time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
