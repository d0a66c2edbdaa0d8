//! The whole run: every row as often as it has to be, then the report.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use jwtlet_core::upstream::chain;

use crate::{
    Options,
    catalog::{self, REFERENCE},
    chart,
    endurance::{self, Endurance},
    error::BenchError,
    measure::{Known, Times, measure},
    progress::Progress,
    report::{Machine, Report},
    row::{Row, median},
    scenario::{Repeat, Scenario},
    server, targets,
};

/// The size of an answer before a server gave one.
const ANSWER_BYTES: usize = 900;
/// How often a row of [`Repeat::InTurn`] is measured in a round.
const ALTERNATIONS: u16 = 3;
/// How long at most each of these measurements takes, in seconds.
const ALTERNATION_SECONDS: u16 = 4;
/// Above this part of the CPU time, what others do on the machine shows in the figures.
const FOREIGN: f64 = 0.1;
/// What a row takes besides, roughly: starting and stopping everybody.
const AROUND: Duration = Duration::from_secs(2);
/// How the endurance run is asked for by name.
const ENDURANCE: &str = "endurance";

/// How long and how often.
#[derive(Clone, Copy)]
struct Plan {
    /// Of a row that is repeated, and of one that is not, in seconds.
    seconds: (u16, u16),
    rounds: u16,
    alternations: u16,
    warm_up: Duration,
}

impl Plan {
    fn new(options: &Options) -> Self {
        // Ten seconds are the time that a review is cached: each token is reviewed once while a row is measured.
        let (seconds, rounds, alternations) =
            if options.quick { ((1, 1), 1, 1) } else { ((10, 5), 3, ALTERNATIONS) };
        Self {
            seconds: options.seconds.map_or(seconds, |seconds| (seconds, seconds)),
            rounds: options.rounds.unwrap_or(rounds),
            alternations,
            warm_up: Duration::from_millis(if options.quick { 500 } else { 1500 }),
        }
    }

    fn times(&self, scenario: &Scenario) -> Times {
        let (repeated, once) = self.seconds;
        let seconds = match scenario.repeat {
            Repeat::Once => once,
            Repeat::Rounds => repeated,
            Repeat::InTurn => repeated.min(ALTERNATION_SECONDS),
        };
        Times { warm_up: self.warm_up, measured: Duration::from_secs(seconds.into()) }
    }

    /// What is measured, in this order.
    fn sequence<'a>(&self, scenarios: &'a [Scenario]) -> Vec<&'a Scenario> {
        let round = |round: u16| {
            let each = scenarios.iter().filter(move |scenario| match scenario.repeat {
                Repeat::Once => round == 0,
                Repeat::Rounds => true,
                Repeat::InTurn => false,
            });
            let in_turn = scenarios.iter().filter(|scenario| scenario.repeat == Repeat::InTurn);
            each.chain((0..self.alternations).flat_map(move |_| in_turn.clone()))
        };
        (0..self.rounds).flat_map(round).collect()
    }
}

/// Runs; false when a row could not be measured or a target is not met.
pub(crate) async fn run(options: &Options) -> Result<bool, BenchError> {
    let (scenarios, exchanges) = select(options)?;
    let plan = Plan::new(options);
    let binary = server::binary(options.server.as_deref()).await?;
    let (rows, mut failed) = rows(&scenarios, plan, &binary).await;
    let mut endured = None;
    if let Some(exchanges) = exchanges {
        match endurance::run(&binary, exchanges).await {
            Ok(endurance) => endured = Some(endurance),
            Err(error) => {
                eprintln!("{ENDURANCE}: failed: {}", chain(&error));
                failed = true;
            }
        }
    }
    let report = Report {
        machine: Machine::here(),
        rounds: plan.rounds,
        seconds_per_round: plan.seconds.0,
        seconds_once: plan.seconds.1,
        targets: targets::evaluate(&rows, endured.as_ref()),
        rows,
        endurance: endured,
    };
    let missed = report.targets.iter().any(|target| target.met == Some(false));
    publish(&report, options)?;
    Ok(!failed && !missed)
}

/// The rows, and how many exchanges the endurance run has, where one is asked for.
fn select(options: &Options) -> Result<(Vec<Scenario>, Option<u64>), BenchError> {
    let (endurance, names): (Vec<_>, Vec<_>) =
        options.only.iter().cloned().partition(|name| name == ENDURANCE);
    let asked = options.endurance.is_some() || !endurance.is_empty();
    let exchanges = asked.then(|| options.endurance.unwrap_or(Endurance::EXCHANGES));
    let mut rows = match (names.is_empty(), endurance.is_empty()) {
        (true, true) => catalog::all(),
        (true, false) => Vec::new(),
        (false, _) => {
            catalog::select(&names).map_err(|names| BenchError::NoRow(names.join(", ") + ", " + ENDURANCE))?
        }
    };
    if names.is_empty() {
        rows.retain(|row| row.quick || !options.quick);
    }
    Ok((rows, exchanges))
}

/// Measures all rows; true when one could not be.
async fn rows(scenarios: &[Scenario], plan: Plan, binary: &Path) -> (Vec<Row>, bool) {
    let sequence = plan.sequence(scenarios);
    let weight = |scenario: &Scenario| {
        let Times { warm_up, measured } = plan.times(scenario);
        (warm_up + measured + AROUND).as_secs()
    };
    let mut progress = Progress::new(sequence.len(), sequence.iter().map(|row| weight(row)).sum());
    let mut measured: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let mut known = Known { answer_bytes: ANSWER_BYTES, per_second: None };
    let mut failed = false;
    for scenario in sequence {
        progress.begin(&scenario.name);
        match measure(scenario, binary, plan.times(scenario), known).await {
            Ok(row) => {
                progress.end(&scenario.name, weight(scenario), &words(&row));
                if row.name == REFERENCE {
                    known = Known { answer_bytes: row.answer_bytes, per_second: Some(row.per_second) };
                }
                measured.entry(&scenario.name).or_default().push(row);
            }
            Err(error) => {
                progress.end(&scenario.name, weight(scenario), &format!("failed: {}", chain(&error)));
                failed = true;
            }
        }
    }
    let medians = scenarios.iter().filter_map(|scenario| median(measured.remove(scenario.name.as_str())?));
    (medians.collect(), failed)
}

fn words(row: &Row) -> String {
    let disturbed = row.disturbed_per_second().map(|rate| format!("{rate:.0} disturbing requests/s"));
    let foreign = (row.foreign_cpu_share > FOREIGN)
        .then(|| format!("{:.0} % of the CPU time went to other processes", row.foreign_cpu_share * 100.0));
    let figures = format!(
        "{:.0} exchanges/s, p50 {:.2} ms, {:.1} µs of server CPU each, {} tokens verified",
        row.per_second, row.p50_ms, row.server_cpu_us, row.tokens_verified
    );
    [Some(figures), disturbed, foreign].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn publish(report: &Report, options: &Options) -> Result<(), BenchError> {
    let markdown = report.markdown();
    print!("{markdown}");
    let write = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|cause| BenchError::File("write the results", cause))
    };
    if let Some(path) = &options.markdown {
        write(path, &markdown)?;
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(report)
            .map_err(|cause| BenchError::Garbled("this process", cause))?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &options.chart {
        write(path, &chart::draw(&report.rows)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_decides_is_repeated() {
        let scenarios = catalog::all();
        let plan = Plan { seconds: (10, 5), rounds: 3, alternations: ALTERNATIONS, warm_up: Duration::ZERO };
        let sequence = plan.sequence(&scenarios);
        let count = |name: &str| sequence.iter().filter(|row| row.name == name).count();
        assert_eq!(
            [count(REFERENCE), count("rs256"), count("warm-1-2ms"), count("unbatched-1")],
            [3, 1, 9, 9]
        );
    }

    #[test]
    fn a_full_run_takes_a_quarter_of_an_hour() {
        let scenarios = catalog::all();
        let plan = Plan {
            seconds: (10, 5),
            rounds: 3,
            alternations: ALTERNATIONS,
            warm_up: Duration::from_millis(1500),
        };
        let times = plan.sequence(&scenarios).into_iter().map(|row| plan.times(row));
        let measured: Duration = times.map(|times| times.warm_up + times.measured).sum();
        assert!(measured < Duration::from_mins(15), "{measured:?}");
    }
}
