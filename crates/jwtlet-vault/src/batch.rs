//! One batch of callers, from the call for their signatures to the answer for each, repeats included.
//!
//! What can be handed out is handed out at once; the rest is asked for again as [`Remedy`](crate::remedy::Remedy) says,
//! each caller within its own deadline. A repeat is a call of its own with a version of its own.

use std::{sync::Arc, time::Duration};

use jwtlet_core::{jws::SigningInput, upstream::chain};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::{
    error::VaultError,
    key_version::KeyVersion,
    lanes::{Lane, Lanes, Waiting},
    remedy::Attempts,
};

/// A caller without a signature, and why.
pub(crate) type Failed = (Waiting, Arc<VaultError>);

/// Callers who cannot be served with one call, whatever is repeated.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// The server does not sign in batches.
    NoBatches(Vec<Failed>),
    /// The request was too large, be it for one caller only.
    TooLarge(Vec<Failed>),
}

impl Lanes {
    /// Serves callers with one call, repeats included. Gives up the place of the call when its last answer has come. Returns
    /// those for whom that is not the way.
    pub(crate) async fn serve_together(
        &self,
        mut batch: Vec<Waiting>,
        lane: Option<&Lane>,
    ) -> Option<Unserved> {
        let mut attempts = Attempts::first();
        loop {
            batch.retain(|caller| !caller.has_left());
            let latest = batch.iter().map(|caller| caller.deadline).max()?;
            // Past the last deadline nobody waits, and the lane is free for others.
            let failed = timeout_at(latest, self.attempt(batch, lane)).await.ok()?;
            // Either holds for all of a call.
            if failed.iter().any(|(_, error)| matches!(**error, VaultError::NoBatches)) {
                return Some(Unserved::NoBatches(failed));
            }
            if failed.iter().any(|(_, error)| error.is_about_size()) {
                return Some(Unserved::TooLarge(failed));
            }
            batch = timeout_at(latest, self.prepare(failed, &mut attempts)).await.ok()?;
            if !batch.is_empty() {
                self.transit.session.calls().retried();
                if let Some(lane) = lane {
                    lane.resume(batch.len());
                }
            }
            attempts.another();
        }
    }

    /// Makes one call, and answers all whom it served.
    async fn attempt(&self, batch: Vec<Waiting>, lane: Option<&Lane>) -> Vec<Failed> {
        let all = |batch: Vec<Waiting>, error: VaultError| {
            let error = Arc::new(error);
            batch.into_iter().map(|caller| (caller, Arc::clone(&error))).collect()
        };
        // Callers arrive within moments of each other; the latest knows best which versions are old enough.
        let now = batch.iter().map(|caller| caller.now).max().unwrap_or_default();
        let Some(version) = self.transit.signing(now) else {
            return all(batch, self.outcomes.not_ready());
        };
        let inputs: Vec<_> =
            batch.iter().map(|caller| SigningInput::new(&version.header, &caller.payload)).collect();
        let results = match self.transit.ask(&version, &inputs).await {
            Ok(results) => results,
            Err(error) => return all(batch, error),
        };
        // An answer that leaves something to ask again keeps its place for that.
        if let Some(lane) = lane.filter(|_| results.items.iter().all(Result::is_ok)) {
            lane.answered().await;
        }
        let signatures = self.transit.verified(&version, &inputs, results).await;
        let mut failed = Vec::new();
        for ((caller, input), signature) in batch.into_iter().zip(inputs).zip(signatures) {
            match signature {
                Ok(signature) => {
                    self.outcomes.succeeded();
                    caller.answer(Ok(input.join(&signature)));
                }
                Err(fault) => failed.push((caller, Arc::new(VaultError::from(fault)))),
            }
        }
        failed
    }

    /// Does what is needed before those who failed are asked for again, and answers those for whom that is of no use.
    async fn prepare(&self, failed: Vec<Failed>, attempts: &mut Attempts) -> Vec<Waiting> {
        let failed_at = std::time::Instant::now();
        let (failed, lost): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(_, error)| attempts.may_go_on(error));
        self.give_up(lost);
        if failed.is_empty() {
            return Vec::new();
        }
        debug!(callers = failed.len(), error = chain(&*failed[0].1), "asking for signatures once more");
        let version = self.signing_for(&failed);
        if failed.iter().any(|(_, error)| error.remedy().read_key)
            && let Err(error) = self.transit.refresh_after(failed_at).await
        {
            self.give_up(failed.into_iter().map(|(caller, _)| (caller, Arc::clone(&error))).collect());
            return Vec::new();
        }
        // Another version may sign at once; a node that lags behind needs a moment.
        let has_moved_on =
            version.map(|version| version.number) != self.signing_for(&failed).map(|version| version.number);
        let must_pause = failed.iter().any(|(_, error)| error.remedy().pause) && !has_moved_on;
        let pause = if must_pause { longest_wait(&failed, attempts.pause()) } else { Duration::ZERO };
        let next = Instant::now() + pause;
        let (failed, late): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(caller, _)| caller.deadline > next);
        self.give_up(late);
        if !failed.is_empty() && !pause.is_zero() {
            sleep(pause).await;
        }
        failed.into_iter().map(|(caller, _)| caller).collect()
    }

    /// The version that would sign for these callers now.
    fn signing_for(&self, callers: &[Failed]) -> Option<Arc<KeyVersion>> {
        self.transit.signing(callers.iter().map(|(caller, _)| caller.now).max()?)
    }

    /// Answers those for whom there is no signature.
    pub(crate) fn give_up(&self, lost: Vec<Failed>) {
        if let Some((_, error)) = lost.first() {
            self.outcomes.failed(error);
        }
        for (caller, error) in lost {
            caller.answer(Err(error));
        }
    }
}

/// The pause that all of them need: this one, or what Vault asked for.
fn longest_wait(failed: &[Failed], pause: Duration) -> Duration {
    failed.iter().filter_map(|(_, error)| error.retry_after()).max().unwrap_or_default().max(pause)
}
