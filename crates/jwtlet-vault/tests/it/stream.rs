//! Callers that want signatures all the time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jiff::Timestamp;
use jwtlet_core::{Signer, UpstreamError};
use jwtlet_testkit::wait_until;
use jwtlet_vault::VaultSigner;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, yield_now};

use crate::{
    support::{PATIENCE, Running},
    verify::verified,
};

/// What time it is for a caller.
pub(crate) type Clock = fn() -> Timestamp;

/// Callers under way.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    signed: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Tally>>,
}

/// What one caller or all of them came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The `kid` of each signature, in order for one caller.
    pub(crate) kids: Vec<String>,
    pub(crate) failures: Vec<UpstreamError>,
}

impl Stream {
    /// Starts so many callers, each of which signs again as soon as it has signed.
    pub(crate) fn start(running: &Running, callers: usize, clock: Clock) -> Self {
        let (stop, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let callers = (0..callers)
            .map(|caller| {
                let (stop, signed) = (Arc::clone(&stop), Arc::clone(&signed));
                tokio::spawn(run(Arc::clone(&running.signer), caller, clock, stop, signed))
            })
            .collect();
        Self { stop, signed, callers }
    }

    /// Waits until so many more were signed.
    pub(crate) async fn goes_on(&self, more: u64) {
        let enough = self.signed.load(Ordering::Relaxed) + more;
        wait_until(|| self.signed.load(Ordering::Relaxed) >= enough, PATIENCE).await.unwrap();
    }

    /// Ends it.
    pub(crate) async fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for caller in self.callers {
            let tally = caller.await.unwrap();
            all.kids.extend(tally.kids);
            all.failures.extend(tally.failures);
        }
        all
    }
}

fn keys(signer: &VaultSigner, now: Timestamp) -> Value {
    serde_json::to_value(&*signer.published_keys(now).unwrap()).unwrap()
}

async fn run(
    signer: Arc<VaultSigner>,
    caller: usize,
    clock: Clock,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (now, claims) = (clock(), json!({ "caller": caller, "number": number }));
        let before = keys(&signer, now);
        match signer.sign(claims.to_string().as_bytes(), now).await {
            Ok(jws) => {
                // A version that was retired while it signed was published when that began.
                let outcome = verified(&jws, &keys(&signer, now)).or_else(|_| verified(&jws, &before));
                let (kid, verified_claims) = outcome.unwrap();
                assert_eq!(verified_claims, claims);
                tally.kids.push(kid);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tally.failures.push(error);
                yield_now().await;
            }
        }
    }
    tally
}
