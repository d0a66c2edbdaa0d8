//! Waiting for something to become true, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long to rest between two looks at the condition.
const PAUSE: Duration = Duration::from_millis(5);

/// The condition did not become true in time.
#[derive(Debug, thiserror::Error)]
#[error("the condition did not hold within {0:?}")]
pub struct PatienceExhausted(pub Duration);

/// Waits until `condition` returns true, looking every few milliseconds.
///
/// # Errors
/// [`PatienceExhausted`] if it is still false when `patience` runs out.
pub async fn wait_until(
    mut condition: impl FnMut() -> bool,
    patience: Duration,
) -> Result<(), PatienceExhausted> {
    wait_for(async || condition(), patience).await
}

/// Like [`wait_until`], for a condition that itself has to wait (an HTTP request, say).
///
/// # Errors
/// [`PatienceExhausted`] if it is still false when `patience` runs out.
pub async fn wait_for(
    mut condition: impl AsyncFnMut() -> bool,
    patience: Duration,
) -> Result<(), PatienceExhausted> {
    let deadline = Instant::now() + patience;
    loop {
        if condition().await {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(PatienceExhausted(patience));
        }
        sleep(PAUSE).await;
    }
}
