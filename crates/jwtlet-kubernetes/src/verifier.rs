//! The call to the API server.

use std::{path::PathBuf, time::Duration};

use http::{StatusCode, header};
use jiff::Timestamp;
use jwtlet_core::{
    Audience, Subject, SubjectToken, SubjectVerifier, UpstreamError,
    health::Health,
    service_account::ServiceAccount,
    subject::{Rejection, VerifyError},
    upstream::{System, chain},
};
use jwtlet_upstream::{
    Answer, CredentialError, CredentialFile, HealthCell, HttpClient, HttpError, HttpSettings, retry_after,
    sensitive_header,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::{
    review::{PATH, ReviewAnswer, ReviewRequest, Status},
    verdict::judge,
};

/// How long the API server may go without a call before its health is looked at.
const IDLE_PROBE: Duration = Duration::from_secs(10);
/// The pauses between probes while it is not healthy.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How the API server is reached and what it is asked.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// The API server, `https://` (or `http://` on loopback), without a path of the API.
    pub api_server_url: String,
    /// The file with the token of jwtlet's own service account, which needs the right to create `TokenReview`s.
    pub token_file: PathBuf,
    /// The cluster's certificate authorities; the system's own when the file does not exist.
    pub ca_file: PathBuf,
    /// Whether only service accounts are accepted.
    pub require_service_account: bool,
    /// The most time that opening a connection may take.
    pub connect_timeout: Duration,
    /// The most time that a review may take.
    pub request_timeout: Duration,
}

/// Why a review has no verdict. Texts are for operators.
#[derive(Debug, thiserror::Error)]
enum ReviewError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the token file {0} holds what cannot be sent in a header")]
    UnsendableToken(PathBuf),
    #[error("the API server does not accept jwtlet's own token from {0}")]
    Unauthorized(PathBuf),
    #[error(
        "jwtlet's service account may not create TokenReviews; bind it to the ClusterRole system:auth-delegator"
    )]
    Forbidden,
    #[error("the API server answers with status {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    #[error("the answer is a TokenReview without status")]
    NoStatus,
}

impl From<ReviewError> for UpstreamError {
    fn from(error: ReviewError) -> Self {
        match error {
            // A file that is missing may be about to come; one with something else in it is not a token that is late.
            ReviewError::Credential(CredentialError::Unusable(..))
            | ReviewError::UnsendableToken(_)
            | ReviewError::Unauthorized(_)
            | ReviewError::Forbidden => Self::misconfigured(System::Kubernetes, error),
            ReviewError::Status { retry_after, .. } => {
                Self::Unavailable { system: System::Kubernetes, retry_after, cause: error.into() }
            }
            _ => Self::unavailable(System::Kubernetes, error),
        }
    }
}

/// Verifies subject tokens with one `TokenReview` each.
#[derive(Debug)]
pub struct KubernetesVerifier {
    url: String,
    http: HttpClient,
    own_token: CredentialFile,
    require_service_account: bool,
    health: HealthCell,
    failed: Notify,
}

impl KubernetesVerifier {
    /// Names the settings; nothing is contacted yet.
    #[must_use]
    pub fn new(settings: KubernetesSettings) -> Self {
        let base = settings.api_server_url.trim_end_matches('/');
        Self {
            url: format!("{base}{PATH}"),
            http: HttpClient::new(HttpSettings {
                tls: base.starts_with("https:"),
                ca_file: Some(settings.ca_file),
                ca_file_optional: true,
                connect_timeout: settings.connect_timeout,
                request_timeout: settings.request_timeout,
            }),
            own_token: CredentialFile::new(settings.token_file),
            require_service_account: settings.require_service_account,
            health: HealthCell::default(),
            failed: Notify::new(),
        }
    }

    /// Keeps the reported health true: probes until the API server can be used, again after each failure, and now and
    /// then when there is no traffic. Never ends; drop the future to stop.
    pub async fn monitor(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.health.get() == Health::Ready {
                pause = FIRST_PAUSE;
                let seen = self.health.successes();
                let idle = tokio::time::timeout(IDLE_PROBE, self.failed.notified()).await.is_err();
                if idle && self.health.successes() == seen {
                    self.probe().await;
                }
            } else {
                self.probe().await;
                if self.health.get() != Health::Ready {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Reviews jwtlet's own token. Whatever the verdict, an answer shows that reviews work; the outcome is in the
    /// reported health.
    async fn probe(&self) {
        // Without a token of its own, the review fails on that, which is what there is to report.
        let token = self.own_token.token().unwrap_or_else(|_| SecretString::from(""));
        let _ = self.review(token.expose_secret(), None).await;
    }

    /// One review and its effect on the reported health.
    async fn review(&self, token: &str, audience: Option<&str>) -> Result<Status, ReviewError> {
        let outcome = self.try_review(&ReviewRequest::new(token, audience)).await;
        match &outcome {
            Ok(_) => {
                if self.health.succeeded() {
                    info!("Kubernetes reviews tokens");
                }
            }
            Err(error) => {
                if self.health.failed(chain(error)) {
                    warn!(error = chain(error), "Kubernetes cannot review tokens");
                }
                self.failed.notify_one();
            }
        }
        outcome
    }

    async fn try_review(&self, request: &ReviewRequest<'_>) -> Result<Status, ReviewError> {
        let own_token = self.own_token.token()?;
        let mut answer = self.send(request, &own_token).await?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(replacement) = self.own_token.replacement(&own_token)
        {
            answer = self.send(request, &replacement).await?;
        }
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => {
                answer.json::<ReviewAnswer>()?.status.ok_or(ReviewError::NoStatus)
            }
            StatusCode::UNAUTHORIZED => Err(ReviewError::Unauthorized(self.own_token.path().to_owned())),
            StatusCode::FORBIDDEN => Err(ReviewError::Forbidden),
            status => Err(ReviewError::Status { status, retry_after: retry_after(&answer.headers) }),
        }
    }

    async fn send(
        &self,
        request: &ReviewRequest<'_>,
        own_token: &SecretString,
    ) -> Result<Answer, ReviewError> {
        let authorization = sensitive_header("Bearer ", own_token)
            .ok_or_else(|| ReviewError::UnsendableToken(self.own_token.path().to_owned()))?;
        let request =
            self.http.get()?.post(&self.url).header(header::AUTHORIZATION, authorization).json(request);
        Ok(self.http.send(request).await?)
    }
}

impl SubjectVerifier for KubernetesVerifier {
    async fn verify(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, VerifyError> {
        let reject = VerifyError::Rejected;
        let claims = token.decode().map_err(reject)?;
        claims.check(audience, now).map_err(reject)?;
        let is_service_account = |subject: &str| subject.parse::<ServiceAccount>().is_ok();
        if self.require_service_account && !claims.subject.as_deref().is_some_and(is_service_account) {
            return Err(reject(Rejection::NotServiceAccount));
        }
        let status =
            self.review(token.expose(), Some(audience.as_str())).await.map_err(UpstreamError::from)?;
        judge(status, &claims, audience, self.require_service_account).map_err(reject)
    }

    fn health(&self) -> Health {
        self.health.get()
    }
}
