//! The last real outcome of calls to one system.

use std::{
    borrow::Cow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jwtlet_core::health::Health;

/// Remembers whether the last call succeeded. Not ready until the first one did.
#[derive(Debug)]
pub struct HealthCell {
    ready: AtomicBool,
    successes: AtomicU64,
    reason: Mutex<Cow<'static, str>>,
}

impl Default for HealthCell {
    fn default() -> Self {
        Self {
            ready: AtomicBool::new(false),
            successes: AtomicU64::new(0),
            reason: Mutex::new(Cow::Borrowed("not reached yet")),
        }
    }
}

impl HealthCell {
    /// The last call succeeded. Tells whether this is news.
    pub fn succeeded(&self) -> bool {
        self.successes.fetch_add(1, Ordering::Relaxed);
        // Read first: in the normal state every request comes here, and none needs the cache line for itself.
        !self.ready.load(Ordering::Relaxed) && !self.ready.swap(true, Ordering::AcqRel)
    }

    /// The last call failed; the reason is for operators and free of secrets. Tells whether this is news.
    pub fn failed(&self, reason: impl Into<Cow<'static, str>>) -> bool {
        let reason = reason.into();
        let mut last = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let was_ready = self.ready.swap(false, Ordering::AcqRel);
        let news = was_ready || *last != reason;
        *last = reason;
        news
    }

    /// How many calls have succeeded so far, to tell whether there was traffic lately.
    pub fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// The state as the readiness probe reports it.
    pub fn get(&self) -> Health {
        if self.ready.load(Ordering::Acquire) {
            Health::Ready
        } else {
            Health::NotReady(self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_counts_and_only_changes_are_news() {
        let health = HealthCell::default();
        assert_eq!(health.get(), Health::NotReady("not reached yet".into()));
        assert!(health.succeeded());
        assert!(!health.succeeded());
        assert_eq!(health.get(), Health::Ready);
        assert!(health.failed("refused"));
        assert!(!health.failed("refused"));
        assert!(health.failed("sealed"));
        assert_eq!(health.get(), Health::NotReady("sealed".into()));
    }
}
