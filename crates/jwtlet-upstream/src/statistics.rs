//! What happened, counted where it happens.
//!
//! Adapters count and know nothing of metrics: whoever wants the counts reads them. To count takes an atomic addition or
//! two, no lock and no memory, because some of it happens in each exchange.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::StatusCode;

use crate::http_client::{Answer, HttpError};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How values are spread over fixed ranges.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is greater than all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// The greatest value of each range, [`u64::MAX`] for the last one, and how many values were in it.
    pub ranges: Vec<(u64, u64)>,
    /// All values added up.
    pub sum: u64,
}

impl Histogram {
    /// No values yet. Each bound is the greatest value of its range; they ascend.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let range = self.bounds.partition_point(|bound| *bound < value);
        self.counts[range].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in nanoseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let bounds = self.bounds.iter().copied().chain([u64::MAX]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Spread { ranges: bounds.zip(counts).collect(), sum: self.sum.load(Ordering::Relaxed) }
    }
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// Bounds for times of what takes microseconds when nothing is wrong and is given up after seconds, in nanoseconds.
pub const TIMES: &[u64] = &[
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2_500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    1_000 * MILLISECOND,
    2_500 * MILLISECOND,
    5_000 * MILLISECOND,
    10_000 * MILLISECOND,
];

/// Why a call to another system brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or one that broke.
    Unreachable,
    /// No answer within the time limit.
    TimedOut,
    /// The system does not accept jwtlet's credentials, or they do not permit the call.
    Credentials,
    /// The system asks to be left alone.
    Overloaded,
    /// Vault is sealed.
    Sealed,
    /// The system cannot serve.
    Unavailable,
    /// Anything else: an answer that makes no sense, or that says that the call makes none.
    Unexpected,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Credentials,
        Self::Overloaded,
        Self::Sealed,
        Self::Unavailable,
        Self::Unexpected,
    ];

    /// As a label of a metric has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Credentials => "credentials",
            Self::Overloaded => "overloaded",
            Self::Sealed => "sealed",
            Self::Unavailable => "unavailable",
            Self::Unexpected => "unexpected",
        }
    }

    /// What an answer with this status is, by the rules of HTTP.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            200..=299 => None,
            401 | 403 => Some(Self::Credentials),
            429 => Some(Self::Overloaded),
            500..=599 => Some(Self::Unavailable),
            _ => Some(Self::Unexpected),
        }
    }
}

/// The calls to one system.
#[derive(Debug)]
pub struct Calls {
    ended: Counter,
    retries: Counter,
    failures: [Counter; Failure::ALL.len()],
    times: Histogram,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ended: Counter::default(),
            retries: Counter::default(),
            failures: Default::default(),
            times: Histogram::new(TIMES),
        }
    }
}

impl Calls {
    /// A call has ended after this time.
    pub fn ended(&self, time: Duration, failure: Option<Failure>) {
        self.ended.increment();
        self.times.observe_time(time);
        if let Some(failure) = failure {
            self.failures[failure as usize].increment();
        }
    }

    /// The next call repeats one that failed.
    pub fn retried(&self) {
        self.retries.increment();
    }

    /// How many have ended.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ended.get()
    }

    /// How many were repetitions.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.get()
    }

    /// How many have failed, and of what.
    pub fn failures(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.into_iter().map(|failure| (failure, self.failures[failure as usize].get()))
    }

    /// How long they took, in nanoseconds.
    #[must_use]
    pub fn times(&self) -> Spread {
        self.times.spread()
    }
}

/// What became of a call over HTTP.
pub(crate) fn failure_of(
    outcome: &Result<Answer, HttpError>,
    of_answer: fn(&Answer) -> Option<Failure>,
) -> Option<Failure> {
    match outcome {
        Ok(answer) => of_answer(answer),
        Err(HttpError::TimedOut(_)) => Some(Failure::TimedOut),
        Err(HttpError::TooLong | HttpError::NotJson { .. }) => Some(Failure::Unexpected),
        Err(_) => Some(Failure::Unreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_range_that_reaches_it() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 9_000] {
            histogram.observe(value);
        }
        let spread = histogram.spread();
        assert_eq!(spread.ranges, [(10, 2), (20, 2), (u64::MAX, 2)]);
        assert_eq!(spread.sum, 9_062);
    }

    #[test]
    fn calls_are_counted_by_what_became_of_them() {
        let calls = Calls::default();
        calls.ended(Duration::from_millis(3), None);
        calls.ended(Duration::from_mins(1), Some(Failure::Sealed));
        calls.retried();
        assert_eq!((calls.count(), calls.retries()), (2, 1));
        let failed: Vec<_> = calls.failures().filter(|(_, count)| *count > 0).collect();
        assert_eq!(failed, [(Failure::Sealed, 1)]);
        assert_eq!(calls.times().ranges.last(), Some(&(u64::MAX, 1)));
    }

    #[test]
    fn a_status_tells_what_is_wrong() {
        let of = |status| Failure::of_status(StatusCode::from_u16(status).unwrap());
        assert_eq!(of(201), None);
        assert_eq!(of(403), Some(Failure::Credentials));
        assert_eq!(of(429), Some(Failure::Overloaded));
        assert_eq!(of(503), Some(Failure::Unavailable));
        assert_eq!(of(302), Some(Failure::Unexpected));
    }
}
