//! The call to the API server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{StatusCode, header};
use jiff::Timestamp;
use jwtlet_core::{
    Audience, Subject, SubjectToken, UpstreamError,
    health::Health,
    service_account::ServiceAccount,
    subject::{Rejection, VerifyError},
    subject_token::UnverifiedClaims,
    upstream::{System, chain},
};
use jwtlet_upstream::{
    Answer, Backoff, Calls, CredentialError, CredentialFile, HealthCell, HttpClient, HttpError, HttpSettings,
    retry_after, sensitive_header,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use tracing::{debug, info, warn};

use crate::{
    gate::{Gate, ReviewQueue, Turned},
    review::{PATH, ReviewAnswer, ReviewRequest, Status},
    verdict::judge,
    verifier::KubernetesSettings,
};

/// How long the API server may go without a call before its health is looked at.
const IDLE_PROBE: Duration = Duration::from_secs(10);
/// The pauses between probes while it is not healthy.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// How often one review is sent at most, and the first pause in between.
const ATTEMPTS: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Why a review has no verdict. Texts are for operators.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
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
    #[error("no verdict within the time limit")]
    Deadline,
    #[error(transparent)]
    Turned(#[from] Turned),
}

impl ReviewError {
    /// Whether the same call may succeed a moment later. A review changes nothing, so that repeating it is safe.
    fn is_passing(&self) -> bool {
        match self {
            Self::Http(HttpError::Transport(_)) => true,
            // 429 asks for a pause that is longer than a caller waits.
            Self::Status { status, .. } => matches!(status.as_u16(), 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Turned(Turned::Closed(left)) => Some(*left),
            _ => None,
        }
    }
}

/// Why there is no subject, in a form that several callers can share.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Rejected(Rejection),
    Review(Arc<ReviewError>),
    /// The task that did the review is gone.
    Aborted,
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Failure> for VerifyError {
    fn from(failure: Failure) -> Self {
        let system = System::Kubernetes;
        match failure {
            Failure::Rejected(rejection) => Self::Rejected(rejection),
            Failure::Review(error) => Self::Upstream(match *error {
                // A file that is missing may be about to come; one with something else in it is no token that is late.
                ReviewError::Credential(CredentialError::Unusable(..))
                | ReviewError::UnsendableToken(_)
                | ReviewError::Unauthorized(_)
                | ReviewError::Forbidden => UpstreamError::misconfigured(system, error),
                _ => UpstreamError::Unavailable {
                    system,
                    retry_after: error.retry_after(),
                    cause: error.into(),
                },
            }),
            Failure::Aborted => Self::Upstream(UpstreamError::unavailable(system, "the review was aborted")),
        }
    }
}

/// Puts tokens to the API server, within bounds.
#[derive(Debug)]
pub(crate) struct Reviewer {
    url: String,
    http: HttpClient,
    own_token: CredentialFile,
    require_service_account: bool,
    timeout: Duration,
    gate: Gate,
    health: HealthCell,
    failed: Notify,
}

impl Reviewer {
    pub(crate) fn new(settings: KubernetesSettings) -> Self {
        let base = settings.api_server_url.trim_end_matches('/');
        Self {
            url: format!("{base}{PATH}"),
            http: HttpClient::new(HttpSettings {
                tls: base.starts_with("https:"),
                ca_file: Some(settings.ca_file),
                ca_file_optional: true,
                client_certificate: None,
                connect_timeout: settings.connect_timeout,
                request_timeout: settings.request_timeout,
            }),
            own_token: CredentialFile::new(settings.token_file),
            require_service_account: settings.require_service_account,
            timeout: settings.request_timeout,
            gate: Gate::new(settings.max_concurrent_reviews, settings.max_waiting_reviews),
            health: HealthCell::default(),
            failed: Notify::new(),
        }
    }

    pub(crate) fn health(&self) -> Health {
        if self.gate.closed_for().is_zero() {
            self.health.get()
        } else {
            Health::NotReady("the API server asked for a pause".into())
        }
    }

    /// What became of the calls so far.
    pub(crate) fn calls(&self) -> &Calls {
        self.http.calls()
    }

    /// How many reviews run and wait.
    pub(crate) fn queue(&self) -> ReviewQueue {
        self.gate.queue()
    }

    /// When a caller who comes now has waited long enough.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Refuses what can be refused without a call.
    pub(crate) fn precheck(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<UnverifiedClaims, Rejection> {
        let claims = token.decode()?;
        claims.check(audience, now)?;
        let is_service_account = |subject: &str| subject.parse::<ServiceAccount>().is_ok();
        if self.require_service_account && !claims.subject.as_deref().is_some_and(is_service_account) {
            return Err(Rejection::NotServiceAccount);
        }
        Ok(claims)
    }

    /// One review of a token that passed the precheck, and its verdict.
    pub(crate) async fn review(
        &self,
        token: &SubjectToken,
        claims: &UnverifiedClaims,
        audience: &Audience,
        deadline: Instant,
    ) -> Result<Subject, Failure> {
        let request = ReviewRequest::new(token.expose(), Some(audience.as_str()));
        let gated = async {
            let _turn = self.gate.enter().await?;
            self.call(&request, deadline).await
        };
        let outcome = time::timeout_at(deadline, gated).await.unwrap_or(Err(ReviewError::Deadline));
        let status = outcome.map_err(|error| Failure::Review(Arc::new(error)))?;
        Ok(judge(status, claims, audience, self.require_service_account)?)
    }

    /// Keeps the reported health true: probes until the API server can be used, again after each failure, and now and
    /// then when there is no traffic. Never ends; drop the future to stop.
    pub(crate) async fn monitor(&self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            // Probes respect the pause that the API server asked for, like everybody. It may be made longer meanwhile.
            while !self.gate.closed_for().is_zero() {
                time::sleep(self.gate.closed_for()).await;
            }
            if self.health.get() == Health::Ready {
                backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
                let seen = self.health.successes();
                let idle = time::timeout(IDLE_PROBE, self.failed.notified()).await.is_err();
                if idle && self.health.successes() == seen {
                    self.probe().await;
                }
            } else {
                self.probe().await;
                if self.health.get() != Health::Ready {
                    time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Reviews jwtlet's own token. Whatever the verdict, an answer shows that reviews work; the outcome is in the
    /// reported health.
    async fn probe(&self) {
        // Without a token of its own, the review fails on that, which is what there is to report.
        let token = self.own_token.token().unwrap_or_else(|_| SecretString::from(""));
        let _ = self.call(&ReviewRequest::new(token.expose_secret(), None), Instant::now()).await;
    }

    /// One review, repeated after a passing failure while there is time, and its effect on the reported health.
    async fn call(&self, request: &ReviewRequest<'_>, deadline: Instant) -> Result<Status, ReviewError> {
        let seen = self.health.successes();
        let mut backoff = Backoff::new(RETRY_PAUSE, self.timeout);
        let mut attempt = 1;
        loop {
            let error = match self.try_once(request).await {
                Ok(status) => {
                    if self.health.succeeded() {
                        info!("Kubernetes reviews tokens");
                    }
                    return Ok(status);
                }
                Err(error) => error,
            };
            let pause = backoff.pause();
            if attempt == ATTEMPTS || !error.is_passing() || Instant::now() + pause >= deadline {
                self.report(&error, seen);
                return Err(error);
            }
            debug!(error = chain(&error), attempt, "a review is repeated");
            time::sleep(pause).await;
            self.http.calls().retried();
            attempt += 1;
        }
    }

    /// A failure counts for the health unless a later call has succeeded meanwhile: it may have hung for long.
    fn report(&self, error: &ReviewError, seen: u64) {
        if let ReviewError::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(pause) } = error
        {
            self.gate.close_for(*pause);
        }
        if self.health.successes() == seen && self.health.failed(chain(error)) {
            warn!(error = chain(error), "Kubernetes cannot review tokens");
        }
        self.failed.notify_one();
    }

    async fn try_once(&self, request: &ReviewRequest<'_>) -> Result<Status, ReviewError> {
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
