//! The port: settings, and the choice between cache and review.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use jwtlet_core::{Audience, Subject, SubjectToken, SubjectVerifier, health::Health, subject::VerifyError};
use jwtlet_upstream::{Calls, trace};
use tracing::{Instrument, trace_span};

use crate::{
    cache::{ReviewCache, ReviewCacheUse},
    gate::ReviewQueue,
    reviewer::{Failure, Reviewer},
};

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
    /// The most time that a caller waits for a review, its turn and repetitions included.
    pub request_timeout: Duration,
    /// How long a successful review is used again; zero for never.
    pub review_cache_ttl: Duration,
    /// How many successful reviews are kept at most.
    pub review_cache_max_entries: u64,
    /// How many reviews run at a time.
    pub max_concurrent_reviews: usize,
    /// How many reviews wait for their turn at a time.
    pub max_waiting_reviews: usize,
}

/// Verifies subject tokens with the `TokenReview` API.
#[derive(Debug)]
pub struct KubernetesVerifier {
    reviewer: Arc<Reviewer>,
    cache: Option<ReviewCache>,
}

impl KubernetesVerifier {
    /// Names the settings; nothing is contacted yet.
    #[must_use]
    pub fn new(settings: KubernetesSettings) -> Self {
        let ttl = settings.review_cache_ttl;
        let cache = (!ttl.is_zero()).then(|| ReviewCache::new(ttl, settings.review_cache_max_entries));
        Self { reviewer: Arc::new(Reviewer::new(settings)), cache }
    }

    /// Keeps the reported health true: probes until the API server can be used, again after each failure, and now and
    /// then when there is no traffic. Never ends; drop the future to stop.
    pub async fn monitor(&self) {
        self.reviewer.monitor().await;
    }

    /// What became of the calls to the API server so far.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        self.reviewer.calls()
    }

    /// How many reviews run and wait.
    #[must_use]
    pub fn queue(&self) -> ReviewQueue {
        self.reviewer.queue()
    }

    /// What the cache of reviews was good for so far; nothing where there is none.
    #[must_use]
    pub fn cache_use(&self) -> ReviewCacheUse {
        self.cache.as_ref().map_or_else(ReviewCacheUse::default, ReviewCache::usage)
    }

    async fn subject(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, Failure> {
        if let Some(cache) = &self.cache {
            return cache.subject(&self.reviewer, token, audience, now).await;
        }
        let claims = self.reviewer.precheck(token, audience, now)?;
        // A review is a large future, and not a part of those that find theirs in the cache.
        Box::pin(self.reviewer.review(token, &claims, audience, self.reviewer.deadline())).await
    }
}

impl SubjectVerifier for KubernetesVerifier {
    async fn verify(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, VerifyError> {
        let stage = trace_span!(target: trace::TARGET, "review");
        Ok(self.subject(token, audience, now).instrument(stage).await?)
    }

    fn health(&self) -> Health {
        self.reviewer.health()
    }
}
