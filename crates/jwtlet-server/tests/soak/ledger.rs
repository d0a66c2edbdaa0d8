//! What happened: the phases, what was answered in them, and what should not have been.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

/// Exchanges from beginning to end in a phase in which nothing may fail.
pub(crate) const ISSUED_WHILE_HEALTHY: &str = "issued while healthy";

/// A stretch of time with the same rules.
#[derive(Clone)]
pub(crate) struct Phase {
    /// For the messages.
    pub(crate) what: String,
    /// Whether no exchange may fail.
    pub(crate) healthy: bool,
    /// Whether jwtlet's own credentials may be refused or the key missing, for which the answer is 500.
    pub(crate) refuses_jwtlet: bool,
}

/// Where an exchange began or ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    phase: usize,
    retirements: u64,
}

#[derive(Default)]
struct State {
    phases: Vec<(Phase, Option<Instant>)>,
    retirements: u64,
    counts: BTreeMap<String, u64>,
    token_ids: HashSet<String>,
    wrong: Vec<String>,
    slowest: Duration,
}

#[derive(Default)]
pub(crate) struct Ledger(Mutex<State>);

impl Ledger {
    pub(crate) fn enter(&self, phase: Phase) {
        println!("soak: {}", phase.what);
        self.count_one(if phase.healthy { "healthy phases" } else { "disturbed phases" });
        self.state().phases.push((phase, Some(Instant::now())));
    }

    pub(crate) fn now(&self) -> Moment {
        let state = self.state();
        Moment { phase: state.phases.len(), retirements: state.retirements }
    }

    /// Call it before a version is retired: a token that it signed just before may have lost its key.
    pub(crate) fn retire(&self) {
        self.state().retirements += 1;
    }

    pub(crate) fn retired_between(start: Moment, end: Moment) -> bool {
        start.retirements != end.retirements
    }

    /// Whether both moments are in one phase in which nothing may fail.
    pub(crate) fn healthy_between(&self, start: Moment, end: Moment) -> bool {
        let phase =
            |state: &State| state.phases.get(start.phase.checked_sub(1)?).map(|(phase, _)| phase.healthy);
        start.phase == end.phase && phase(&self.state()) == Some(true)
    }

    /// Whether jwtlet's own credentials may have been refused at any time from `start` to `end`.
    pub(crate) fn refusal_between(&self, start: Moment, end: Moment) -> bool {
        let state = self.state();
        let passed = &state.phases[start.phase.saturating_sub(1)..end.phase];
        passed.iter().any(|(phase, _)| phase.refuses_jwtlet)
    }

    pub(crate) fn count_one(&self, what: &str) {
        *self.state().counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Counts what the driver did, and shows when.
    pub(crate) fn note(&self, what: &str) {
        println!("soak:   {what}");
        self.count_one(what);
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.state().counts.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn took(&self, time: Duration) {
        let mut state = self.state();
        state.slowest = state.slowest.max(time);
    }

    /// False when another token had this id.
    pub(crate) fn is_new(&self, token_id: &str) -> bool {
        self.state().token_ids.insert(token_id.to_owned())
    }

    /// Records an answer that must not be.
    pub(crate) fn blame(&self, why: &str) {
        let mut state = self.state();
        let phase = state.phases.last().map(|(phase, since)| {
            let since = since.map_or(Duration::ZERO, |since| since.elapsed());
            format!("{:.3} s into {}", since.as_secs_f64(), phase.what)
        });
        let line = format!("{}: {why}", phase.unwrap_or_default());
        println!("soak: WRONG {line}");
        state.wrong.push(line);
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    pub(crate) fn summary(&self) -> String {
        let state = self.state();
        let counts = state.counts.iter().map(|(what, count)| format!("{count} {what}"));
        let wrong =
            format!("{} wrong answers, the slowest answer took {:.2?}", state.wrong.len(), state.slowest);
        counts.chain([wrong]).collect::<Vec<_>>().join(", ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}
