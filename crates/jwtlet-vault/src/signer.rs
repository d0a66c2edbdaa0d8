//! The port, and the work in the background that keeps it ready.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use jwtlet_core::{Signer, UpstreamError, health::Health, jwk::JwkSet, jws::CompactJws};
use jwtlet_upstream::{Backoff, Calls, jittered, trace};
use tokio::{select, time};
use tracing::{Instrument, trace_span};

use crate::{
    VaultSettings,
    error::{VaultError, upstream_error},
    key_ring::KeyCensus,
    lanes::{Lanes, SignatureQueue},
    login::TokenUse,
};

/// The pauses of the background work while it does not get through.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Signs with a transit key.
///
/// Made without contacting anything; [`VaultSigner::run`] has to be polled, it makes and keeps the signer ready.
/// Signatures are asked for in tasks of the Tokio runtime that [`Signer::sign`] is called in.
#[derive(Debug)]
pub struct VaultSigner {
    lanes: Arc<Lanes>,
}

impl VaultSigner {
    /// Names the settings; nothing is contacted and no file is read.
    #[must_use]
    pub fn new(settings: &VaultSettings) -> Self {
        Self { lanes: Arc::new(Lanes::new(settings)) }
    }

    /// Reads the key at another interval than every 30 seconds. To be called before the signer is used.
    #[must_use]
    pub fn with_refresh_interval(mut self, interval: Duration) -> Self {
        if let Some(lanes) = Arc::get_mut(&mut self.lanes) {
            lanes.transit.keys.refresh_interval = interval;
        }
        self
    }

    /// Logs in, reads the key, tries a signature, and starts over with growing pauses until all of that succeeds; then
    /// reads the key again and renews the login when it is time, and at once after a failed signature. Never ends; drop
    /// the future to stop.
    pub async fn run(&self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut failure = None;
        loop {
            match self.round(failure.take()).await {
                Ok(()) => {
                    backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
                    failure = self.rest().await;
                }
                Err(error) => {
                    failure = Some(Instant::now());
                    self.lanes.outcomes.obstructed(error);
                    time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// What became of the calls to Vault so far.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        self.lanes.transit.session.calls()
    }

    /// How many wait for a signature, and for how many calls were made.
    #[must_use]
    pub fn queue(&self) -> SignatureQueue {
        self.lanes.signature_queue()
    }

    /// What the versions of the key are used for at this time; `None` until the key was read for the first time.
    #[must_use]
    pub fn census(&self, now: Timestamp) -> Option<KeyCensus> {
        Some(self.lanes.transit.ring()?.census(now))
    }

    /// What is known of the life of jwtlet's own token; `None` for one that somebody else looks after.
    #[must_use]
    pub fn token_use(&self) -> Option<TokenUse> {
        self.lanes.transit.session.token_use()
    }

    /// How often the key or the login could not be kept up so far.
    #[must_use]
    pub fn obstructions(&self) -> u64 {
        self.lanes.outcomes.obstructions()
    }

    /// Waits until there is something to do. Returns when a signature was refused, if that is what there is.
    async fn rest(&self) -> Option<Instant> {
        let transit = &self.lanes.transit;
        let refresh = jittered(transit.keys.refresh_interval);
        let due = transit.session.token_due_in().map_or(refresh, |due| due.min(refresh));
        select! {
            () = time::sleep(due) => None,
            failure = self.lanes.outcomes.failure() => {
                // Not at once: failures under load come in crowds, and one look serves them all.
                time::sleep(jittered(FIRST_PAUSE)).await;
                Some(failure)
            }
        }
    }

    /// One round of the background work.
    async fn round(&self, failure: Option<Instant>) -> Result<(), Arc<VaultError>> {
        let Lanes { transit, outcomes, .. } = &*self.lanes;
        transit.session.keep_token().await?;
        let ring = match failure {
            Some(failure) => transit.refresh_after(failure).await?,
            None => transit.refresh().await?,
        };
        if outcomes.health() != Health::Ready {
            transit.try_out(&ring).await?;
            outcomes.succeeded();
        }
        outcomes.unobstructed();
        Ok(())
    }
}

impl Signer for VaultSigner {
    async fn sign(&self, payload: &[u8], now: Timestamp) -> Result<CompactJws, UpstreamError> {
        let stage = trace_span!(target: trace::TARGET, "sign");
        self.lanes.sign(payload, now).instrument(stage).await.map_err(upstream_error)
    }

    fn published_keys(&self, now: Timestamp) -> Option<Arc<JwkSet>> {
        Some(self.lanes.transit.ring()?.published(now))
    }

    fn health(&self) -> Health {
        let Lanes { transit, outcomes, .. } = &*self.lanes;
        match outcomes.health() {
            Health::Ready if transit.keys.is_stale() => {
                Health::NotReady("the signing key was not read for a long time; the log says why".into())
            }
            health => health,
        }
    }
}
