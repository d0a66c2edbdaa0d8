//! The whole run: every row in every round, then the report.

use std::{collections::BTreeMap, fs, time::Duration};

use jwtlet_core::upstream::chain;

use crate::{
    Options,
    error::BenchError,
    measure::{Times, measure},
    report::{Machine, Report},
    row::{Row, median},
    scenario::{ALL, Scenario},
    server, targets,
};

/// The size of an answer before a server gave one.
const ANSWER_BYTES: usize = 900;
/// How often a row with one connection is measured in a round, in turn with the others of that kind. What is compared
/// there differs by less than one measurement and the next.
const ALTERNATIONS: u16 = 5;
/// How long at most each of these measurements takes, in seconds.
const ALTERNATION_SECONDS: u16 = 4;
/// Above this part of the CPU time, what others do on the machine shows in the figures.
const FOREIGN: f64 = 0.1;

/// Runs; false when a row could not be measured or a target is not met.
pub(crate) async fn run(options: &Options) -> Result<bool, BenchError> {
    let scenarios = select(&options.only)?;
    // Ten seconds are the time that a review is cached: each token is reviewed once while a row is measured.
    let (seconds, rounds) = if options.quick { (2, 1) } else { (10, 3) };
    let (seconds, rounds) = (options.seconds.unwrap_or(seconds), options.rounds.unwrap_or(rounds));
    let warm_up = Duration::from_millis(if options.quick { 700 } else { 2000 });
    let sequence = sequence(&scenarios);
    let binary = server::binary(options.server.as_deref()).await?;

    let mut measured: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let mut answer_bytes = ANSWER_BYTES;
    let mut failed = false;
    for round in 1..=rounds {
        for (index, scenario) in sequence.iter().enumerate() {
            let Scenario { name, .. } = scenario;
            eprint!("round {round}/{rounds}, {}/{}, {name}: ", index + 1, sequence.len());
            let seconds = if alternates(scenario) { seconds.min(ALTERNATION_SECONDS) } else { seconds };
            let times = Times { warm_up, measured: Duration::from_secs(seconds.into()) };
            match measure(scenario, &binary, times, answer_bytes).await {
                Ok(row) => {
                    tell(&row);
                    answer_bytes = row.answer_bytes;
                    measured.entry(name).or_default().push(row);
                }
                Err(error) => {
                    eprintln!("failed: {}", chain(&error));
                    failed = true;
                }
            }
        }
    }
    let rows: Vec<Row> =
        scenarios.iter().filter_map(|scenario| median(measured.remove(scenario.name)?)).collect();
    let targets = targets::evaluate(&rows);
    let missed = targets.iter().any(|target| target.met == Some(false));
    let report =
        Report { machine: Machine::here(), rounds, seconds_per_round: seconds.into(), rows, targets };
    publish(&report, options)?;
    Ok(!failed && !missed)
}

fn select(names: &[String]) -> Result<Vec<Scenario>, BenchError> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != **name)) {
        return Err(BenchError::NoRow(unknown.clone(), ALL.map(|scenario| scenario.name).join(", ")));
    }
    Ok(ALL.into_iter().filter(|scenario| names.iter().any(|name| name == scenario.name)).collect())
}

/// What is measured in a round, in this order.
fn sequence(scenarios: &[Scenario]) -> Vec<Scenario> {
    let (alternating, once): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| alternates(scenario));
    let in_turn = (0..ALTERNATIONS).flat_map(|_| alternating.iter().copied());
    once.into_iter().chain(in_turn).copied().collect()
}

fn alternates(scenario: &Scenario) -> bool {
    scenario.connections == 1
}

fn tell(row: &Row) {
    eprint!(
        "{:.0} exchanges/s, p50 {:.2} ms, {:.1} µs of server CPU each, {} tokens verified",
        row.per_second, row.p50_ms, row.server_cpu_us, row.tokens_verified
    );
    if row.foreign_cpu_share > FOREIGN {
        eprint!("; {:.0} % of the CPU time went to other processes", row.foreign_cpu_share * 100.0);
    }
    eprintln!();
}

fn publish(report: &Report, options: &Options) -> Result<(), BenchError> {
    let markdown = report.markdown();
    print!("{markdown}");
    if let Some(path) = &options.markdown {
        fs::write(path, &markdown).map_err(|cause| BenchError::File("write the table", cause))?;
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(report)
            .map_err(|cause| BenchError::Garbled("this process", cause))?;
        fs::write(path, json + "\n").map_err(|cause| BenchError::File("write the results", cause))?;
    }
    Ok(())
}
