//! The port, and the work in the background that keeps it ready.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jwtlet_core::{
    Signer, UpstreamError,
    health::Health,
    jwk::JwkSet,
    jws::{CompactJws, SigningInput},
    upstream::chain,
};
use jwtlet_upstream::HealthCell;
use tokio::{select, sync::Notify, time};
use tracing::{debug, info, warn};

use crate::{
    VaultSettings,
    error::VaultError,
    jitter::{Backoff, jittered},
    key_ring::KeyRing,
    keys::Keys,
    session::Session,
};

/// How often the key is read, so that a new version is noticed well within a minute.
const REFRESH: Duration = Duration::from_secs(30);

/// What is signed to learn whether signing works. It is not of the form of a JWS signing input, so its signature is
/// good for nothing else.
const TRIAL: &[u8] = b"jwtlet asks whether it may sign";

/// Signs with a transit key.
///
/// Made without contacting anything; [`VaultSigner::run`] has to be polled, it makes and keeps the signer ready.
#[derive(Debug)]
pub struct VaultSigner {
    session: Session,
    keys: Keys,
    publish_before_sign: Duration,
    deadline: Duration,
    refresh: Duration,
    health: HealthCell,
    /// Wakes the background work.
    failed: Notify,
    /// Why the key could not be read, until it was read for the first time.
    last_failure: ArcSwapOption<VaultError>,
}

impl VaultSigner {
    /// Names the settings; nothing is contacted and no file is read.
    #[must_use]
    pub fn new(settings: &VaultSettings) -> Self {
        Self {
            session: Session::new(settings),
            keys: Keys::new(settings),
            publish_before_sign: settings.publish_before_sign,
            deadline: settings.request_timeout,
            refresh: REFRESH,
            health: HealthCell::default(),
            failed: Notify::new(),
            last_failure: ArcSwapOption::empty(),
        }
    }

    /// Reads the key at another interval than every 30 seconds.
    #[must_use]
    pub fn with_refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh = interval;
        self
    }

    /// Logs in, reads the key, tries a signature, and starts over with growing pauses until all of that succeeds; then
    /// reads the key again and renews the login when it is time, and at once after a failed signature. Never ends; drop
    /// the future to stop.
    pub async fn run(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.round().await {
                Ok(()) => {
                    backoff = Backoff::new();
                    self.rest().await;
                }
                Err(error) => {
                    self.report(&error);
                    self.last_failure.store(Some(Arc::new(error)));
                    time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Waits until there is something to do.
    async fn rest(&self) {
        let refresh = jittered(self.refresh);
        let due = self.session.token_due_in().map_or(refresh, |due| due.min(refresh));
        select! {
            () = time::sleep(due) => {}
            // Not at once: failures under load come in crowds, and one look serves them all.
            () = self.failed.notified() => time::sleep(Backoff::new().next()).await,
        }
    }

    /// One round of the background work.
    async fn round(&self) -> Result<(), VaultError> {
        self.session.keep_token().await?;
        let ring = self.keys.refresh(&self.session).await?;
        if self.health.get() != Health::Ready {
            // Reading the key and signing are different rights, so only a signature shows that exchanges will succeed.
            if let Some(version) = ring.oldest() {
                self.keys.sign(&self.session, version, TRIAL).await?;
            }
            self.report_success();
        }
        Ok(())
    }

    async fn sign_or_repeat(&self, payload: &[u8], now: Timestamp) -> Result<CompactJws, VaultError> {
        let Some(ring) = self.keys.ring() else {
            return Err(VaultError::NotReady(self.last_failure.load_full()));
        };
        match self.sign_with(&ring, payload, now).await {
            Err(error) if error.may_be_stale_key() => {
                debug!(error = chain(&error), "reading the key anew before signing once more");
                let ring = self.keys.refresh_after(&self.session, &ring).await?;
                self.sign_with(&ring, payload, now).await
            }
            outcome => outcome,
        }
    }

    async fn sign_with(
        &self,
        ring: &KeyRing,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<CompactJws, VaultError> {
        // A ring has a version that may sign, or it would not have been made.
        let version = ring.signing(now, self.publish_before_sign).ok_or(VaultError::NotReady(None))?;
        let input = SigningInput::new(&version.header, payload);
        let signature = self.keys.sign(&self.session, version, input.as_bytes()).await?;
        Ok(input.join(&signature))
    }

    fn report_success(&self) {
        if self.health.succeeded() {
            info!("Vault signs");
        }
    }

    fn report(&self, error: &VaultError) {
        if self.health.failed(error.operator_text()) {
            warn!(error = chain(error), "Vault cannot sign");
        }
    }
}

impl Signer for VaultSigner {
    async fn sign(&self, payload: &[u8], now: Timestamp) -> Result<CompactJws, UpstreamError> {
        let outcome = time::timeout(self.deadline, self.sign_or_repeat(payload, now)).await;
        match outcome.unwrap_or(Err(VaultError::Deadline)) {
            Ok(jws) => {
                self.report_success();
                Ok(jws)
            }
            Err(error) => {
                // Before the key was read, the background work knows better why than this exchange does.
                if !matches!(error, VaultError::NotReady(_)) {
                    self.report(&error);
                    self.failed.notify_one();
                }
                Err(error.into())
            }
        }
    }

    fn published_keys(&self) -> Option<Arc<JwkSet>> {
        self.keys.ring().map(|ring| Arc::clone(ring.published()))
    }

    fn health(&self) -> Health {
        self.health.get()
    }
}
