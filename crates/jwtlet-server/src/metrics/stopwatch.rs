//! How long the stages of an exchange take, with one look at the clock for each.

use std::time::{Duration, Instant};

use jwtlet_core::exchange::Stage;
use jwtlet_upstream::Histogram;

/// The index of the histogram for all stages together.
pub(crate) const TOTAL: usize = 3;

/// The names of the histograms, as the label has them.
pub(super) const STAGES: [&str; TOTAL + 1] = ["review", "policy", "sign", "total"];

/// Measures one exchange. The whole of it ends with its last stage.
#[derive(Debug)]
pub(crate) struct Stopwatch<'a> {
    times: &'a [Histogram; TOTAL + 1],
    started: Instant,
    last: Instant,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn start(times: &'a [Histogram; TOTAL + 1]) -> Self {
        let now = Instant::now();
        Self { times, started: now, last: now }
    }

    /// A stage has ended, and the next one begins.
    pub(crate) fn ended(&mut self, stage: Stage) {
        let now = Instant::now();
        let index = match stage {
            Stage::Review => 0,
            Stage::Policy => 1,
            Stage::Sign => 2,
        };
        self.times[index].observe_time(now.saturating_duration_since(self.last));
        self.last = now;
    }

    /// The exchange has ended; tells how long it took.
    pub(crate) fn stop(self) -> Duration {
        let time = self.last.saturating_duration_since(self.started);
        self.times[TOTAL].observe_time(time);
        time
    }
}
