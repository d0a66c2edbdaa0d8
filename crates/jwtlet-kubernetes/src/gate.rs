//! How many reviews may run and wait at a time.
//!
//! The API server gives a service account a fair share and answers 429 beyond it. A queue without an end would turn a
//! slow minute into an outage, so that past the bounds a caller is told at once to come back; and while the API server
//! has asked to be left alone, it is.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jwtlet_upstream::Counter;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The longest time that a `Retry-After` is believed. The API server's own greatest value is 32 seconds.
const LONGEST_CLOSURE: Duration = Duration::from_mins(1);

/// Why a review cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Turned {
    /// Too many wait already.
    #[error("too many reviews wait already")]
    Full,
    /// The API server has asked to be left alone for so long.
    #[error("the API server asked for a pause")]
    Closed(Duration),
}

#[derive(Debug)]
pub(crate) struct Gate {
    running: Semaphore,
    max_running: usize,
    waiting: AtomicUsize,
    max_waiting: usize,
    turned_away: Counter,
    closed_until: Mutex<Option<Instant>>,
}

/// How full the gate is.
#[derive(Debug, Clone, Copy)]
pub struct ReviewQueue {
    /// How many reviews run.
    pub running: usize,
    /// How many may run.
    pub max_running: usize,
    /// How many wait for their turn.
    pub waiting: usize,
    /// How many may wait.
    pub max_waiting: usize,
    /// How many were turned away so far, because too many waited or the API server had asked for a pause.
    pub turned_away: u64,
}

impl Gate {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        Self {
            running: Semaphore::new(max_running),
            max_running,
            waiting: AtomicUsize::new(0),
            max_waiting,
            turned_away: Counter::default(),
            closed_until: Mutex::new(None),
        }
    }

    /// Waits for a turn. The review may run as long as the permit is held.
    pub(crate) async fn enter(&self) -> Result<SemaphorePermit<'_>, Turned> {
        self.wait().await.inspect_err(|_| self.turned_away.increment())
    }

    /// How full it is now.
    pub(crate) fn queue(&self) -> ReviewQueue {
        ReviewQueue {
            running: self.max_running.saturating_sub(self.running.available_permits()),
            max_running: self.max_running,
            waiting: self.waiting.load(Ordering::Relaxed).min(self.max_waiting),
            max_waiting: self.max_waiting,
            turned_away: self.turned_away.get(),
        }
    }

    async fn wait(&self) -> Result<SemaphorePermit<'_>, Turned> {
        self.check_open()?;
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.max_waiting).ok_or(Turned::Full)?;
        // Nobody closes the semaphore.
        let permit = self.running.acquire().await.map_err(|_| Turned::Full)?;
        self.check_open()?;
        Ok(permit)
    }

    /// Lets nobody in for this long.
    pub(crate) fn close_for(&self, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_CLOSURE);
        let mut closed_until = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed_until = (*closed_until).max(Some(until));
    }

    /// How long nobody is let in; zero when the gate is open.
    pub(crate) fn closed_for(&self) -> Duration {
        let closed_until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    fn check_open(&self) -> Result<(), Turned> {
        match self.closed_for() {
            Duration::ZERO => Ok(()),
            left => Err(Turned::Closed(left)),
        }
    }
}

/// A place among those who wait, given back also by a caller who leaves.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(waiting);
        // Counted first and checked second: dropping the place counts it back.
        (waiting.fetch_add(1, Ordering::AcqRel) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_those_who_run_and_wait_everybody_is_turned_away_until_there_is_room() {
        let gate = Gate::new(1, 1);
        let running = gate.enter().await.unwrap();
        let mut waiting = std::pin::pin!(gate.enter());
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting.as_mut()).await.is_err());
        assert_eq!(gate.enter().await.err(), Some(Turned::Full));
        drop(running);
        drop(waiting.await.unwrap());
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_gate_tells_how_long() {
        let gate = Gate::new(1, 1);
        gate.close_for(Duration::from_secs(30));
        gate.close_for(Duration::from_secs(1));
        let Err(Turned::Closed(left)) = gate.enter().await else { panic!("the gate is open") };
        assert!(left > Duration::from_secs(20));
    }
}
