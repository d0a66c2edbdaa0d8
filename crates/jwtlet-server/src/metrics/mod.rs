//! What `GET /metrics` shows.
//!
//! Every server counts for itself: there is no recorder of the whole process. What happens in each exchange is counted with
//! an atomic addition; all the rest is looked at when somebody asks. `definition` names every metric, `scrape` finds
//! the values, `exposition` writes them. No label has a value that callers choose.

mod definition;
mod exposition;
mod management;
mod process;
mod reason;
mod scrape;
mod stopwatch;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jwtlet_upstream::{Counter, Histogram, TIMES};

pub use self::definition::reference;
use self::management::ManagementCalls;
pub(crate) use self::{
    exposition::Format,
    management::NO_ROUTE,
    reason::Reason,
    scrape::page,
    stopwatch::{Stopwatch, TOTAL},
};
use crate::serve::Census;

/// The APIs, as labels name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiName {
    Exchange,
    Management,
}

impl ApiName {
    const ALL: [Self; 2] = [Self::Exchange, Self::Management];

    fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Management => "management",
        }
    }
}

/// What the server itself counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    exchanges: [Counter; Reason::ALL.len()],
    /// One for each stage, and the last for all of them together.
    times: [Histogram; TOTAL + 1],
    in_flight: [AtomicU64; ApiName::ALL.len()],
    connections: [Arc<Census>; ApiName::ALL.len()],
    pub(crate) management: ManagementCalls,
    pub(crate) trail: Trail,
}

/// What is known of the audit trail.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    verified: Counter,
    is_broken: AtomicBool,
    unrecorded: Counter,
}

impl Trail {
    /// It was verified.
    pub(crate) fn verified(&self, is_intact: bool) {
        self.verified.increment();
        self.is_broken.store(!is_intact, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// A refused attempt could not be recorded.
    pub(crate) fn left_out(&self) {
        self.unrecorded.increment();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            exchanges: Default::default(),
            times: std::array::from_fn(|_| Histogram::new(TIMES)),
            in_flight: Default::default(),
            connections: Default::default(),
            management: ManagementCalls::default(),
            trail: Trail::default(),
        }
    }
}

impl Metrics {
    /// An exchange has ended like this.
    pub(crate) fn exchanged(&self, reason: Reason) {
        self.exchanges[reason as usize].increment();
    }

    /// Measures the stages of an exchange that begins now.
    pub(crate) fn stopwatch(&self) -> Stopwatch<'_> {
        Stopwatch::start(&self.times)
    }

    /// Where the port of this API counts its connections.
    pub(crate) fn connections(&self, api: ApiName) -> Arc<Census> {
        Arc::clone(&self.connections[api as usize])
    }

    /// A request is being answered as long as this lives.
    pub(crate) fn begin(&self, api: ApiName) -> InFlight<'_> {
        let count = &self.in_flight[api as usize];
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(count)
    }
}

/// A request that is being answered.
pub(crate) struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
