//! What is done about a failed call for signatures: whether it is worth repeating, after what, and how often.
//!
//! Asking for a signature twice does no harm, so a repeat is safe whatever became of the first call. A repeat costs
//! Vault another call at a time when it may have too many, hence the pauses and the small numbers.

use std::time::Duration;

use jwtlet_core::upstream::chain;
use jwtlet_upstream::{Backoff, Calls, HttpError};
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{error::VaultError, signature::SignatureFault};

/// The pause before the first repeat, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What to do before the same is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// How often it is asked for altogether.
    pub(crate) attempts: u32,
    /// Whether Vault is left alone for a moment.
    pub(crate) pause: bool,
    /// Whether the key is read anew, because another version may have to sign.
    pub(crate) read_key: bool,
}

impl Remedy {
    /// It would fail again.
    const NONE: Self = Self { attempts: 1, pause: false, read_key: false };
    /// A connection that broke, a node that is busy or about to step down.
    const WAIT: Self = Self { attempts: 3, pause: true, read_key: false };
    /// The version does not sign: it was retired, or the node that was asked lags behind and does not know it yet.
    const OTHER_VERSION: Self = Self { attempts: 3, pause: true, read_key: true };
    /// The key may be gone, which reading it tells.
    const READ_KEY: Self = Self { attempts: 2, pause: false, read_key: true };
    /// The answer is of no use, the next one may be.
    const AGAIN: Self = Self { attempts: 2, pause: false, read_key: false };
}

impl VaultError {
    /// What may help against this.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Http(HttpError::Transport(_) | HttpError::TimedOut(_)) | Self::LoginPaused(_) => {
                Remedy::WAIT
            }
            Self::Http(HttpError::NotJson { .. } | HttpError::TooLong)
            | Self::NoData(_)
            | Self::Answer(_)
            | Self::Signature(_)
                if !self.is_of_other_version() =>
            {
                Remedy::AGAIN
            }
            Self::Signature(_) => Remedy::READ_KEY,
            Self::ItemRefused(refusal) if refusal.is_about_version() => Remedy::OTHER_VERSION,
            _ if self.is_about_size() => Remedy::NONE,
            Self::Status { refusal, .. } => match refusal.status.as_u16() {
                412 | 429 | 472 | 473 | 502 | 503 | 504 => Remedy::WAIT,
                // Vault says "no such version" with 500, newer versions with 400.
                500 => Remedy::OTHER_VERSION,
                400 if refusal.is_about_version() => Remedy::OTHER_VERSION,
                400 => Remedy::READ_KEY,
                _ => Remedy::NONE,
            },
            _ => Remedy::NONE,
        }
    }

    fn is_of_other_version(&self) -> bool {
        matches!(self, Self::Signature(SignatureFault::OtherVersion { .. }))
    }
}

/// Counts the attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    backoff: Backoff,
}

impl Attempts {
    /// The first attempt is being made.
    pub(crate) fn first() -> Self {
        Self { made: 1, backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) }
    }

    /// Another attempt is being made.
    pub(crate) fn another(&mut self) {
        self.made += 1;
    }

    /// Whether another one is worth it after this failure.
    pub(crate) fn may_go_on(&self, error: &VaultError) -> bool {
        self.made < error.remedy().attempts
    }

    /// The pause that an attempt after a failure of this kind has to make.
    pub(crate) fn pause(&mut self) -> Duration {
        self.backoff.pause()
    }
}

/// The repeats of a call that is not made for callers with deadlines.
#[derive(Debug)]
pub(crate) struct Repeats<'a> {
    attempts: Attempts,
    deadline: Instant,
    calls: &'a Calls,
}

impl<'a> Repeats<'a> {
    /// The first attempt is being made; all of them together may take this long. Repeats are counted with these calls.
    pub(crate) fn within(patience: Duration, calls: &'a Calls) -> Self {
        Self { attempts: Attempts::first(), deadline: Instant::now() + patience, calls }
    }

    /// Waits until the call can be made again, or returns its failure when that is of no use or there is no time.
    pub(crate) async fn after(&mut self, error: VaultError) -> Result<(), VaultError> {
        if !error.remedy().pause || !self.attempts.may_go_on(&error) {
            return Err(error);
        }
        let pause = self.attempts.pause().max(error.retry_after().unwrap_or_default());
        if Instant::now() + pause >= self.deadline {
            return Err(error);
        }
        debug!(error = chain(&error), "asking once more");
        sleep(pause).await;
        self.calls.retried();
        self.attempts.another();
        Ok(())
    }
}
