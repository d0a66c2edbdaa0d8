//! The way of a server to its end, as everybody who has a part in it sees it.
//!
//! Serving, then leaving (not ready, but still there for those who have not noticed), then closing. Each stage is reached
//! once and stays. To ask costs one read of a flag, so that every request may.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The stages of a server that is told to stop.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    /// Clients are asked to go elsewhere: `/readyz` is 503, and answers close their connection.
    pub(crate) leaving: Stage,
    /// Nothing new is accepted, idle connections are closed, and what runs may finish.
    pub(crate) closing: Stage,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    flag: AtomicBool,
    token: CancellationToken,
}

impl Stage {
    /// Enters the stage. Again is as good.
    pub(crate) fn enter(&self) {
        self.flag.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub(crate) fn is_entered(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Ends when the stage is entered.
    pub(crate) fn entered(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }
}
