//! What the last calls came to: for the readiness probe, for the log, and to wake the background work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use jwtlet_core::{health::Health, upstream::chain};
use jwtlet_upstream::{Counter, HealthCell};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::error::VaultError;

/// The last outcomes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    health: HealthCell,
    failed: Notify,
    /// How many signatures had been made when the background work last ended a round.
    successes_seen: AtomicU64,
    /// Why the background work did not get through, last time.
    obstacle: ArcSwapOption<VaultError>,
    /// How often the background work did not get through.
    obstructions: Counter,
}

impl Outcomes {
    /// Vault has signed.
    pub(crate) fn succeeded(&self) {
        if self.health.succeeded() {
            info!("Vault signs");
        }
    }

    /// A signature was asked for in vain.
    pub(crate) fn failed(&self, error: &VaultError) {
        self.report(error);
        self.failed.notify_one();
    }

    /// The background work did not get through. While signatures are made all the same, that is for the log only:
    /// readiness would change with each of them.
    pub(crate) fn obstructed(&self, error: Arc<VaultError>) {
        let successes = self.health.successes();
        if self.successes_seen.swap(successes, Ordering::Relaxed) == successes {
            self.report(&error);
        } else {
            warn!(error = chain(&*error), "Vault signs, but the signing key or the login cannot be kept up");
        }
        self.obstacle.store(Some(error));
        self.obstructions.increment();
    }

    /// How often the background work did not get through so far.
    pub(crate) fn obstructions(&self) -> u64 {
        self.obstructions.get()
    }

    /// The background work got through.
    pub(crate) fn unobstructed(&self) {
        self.successes_seen.store(self.health.successes(), Ordering::Relaxed);
    }

    /// The error for exchanges that come before the key was read.
    pub(crate) fn not_ready(&self) -> VaultError {
        VaultError::NotReady(self.obstacle.load_full())
    }

    /// Waits until a signature was asked for in vain, and tells when that was noticed.
    pub(crate) async fn failure(&self) -> Instant {
        self.failed.notified().await;
        Instant::now()
    }

    pub(crate) fn health(&self) -> Health {
        self.health.get()
    }

    fn report(&self, error: &VaultError) {
        if self.health.failed(error.operator_text()) {
            warn!(error = chain(error), "Vault cannot sign");
        }
    }
}
