//! Measures one row: starts everybody, warms up, looks at the clocks and counters twice, verifies, stops everybody.

use std::{path::Path, time::Duration};

use hdrhistogram::Histogram;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    database::Database,
    error::BenchError,
    fakes::{Counters, Fakes},
    limit::Limit,
    load::Load,
    row::{Row, Used},
    scenario::{Scenario, Storage, Subject, Tuning, VaultKind},
    server::{PATIENCE, Server},
    signer::Signer,
    usage::{cpu_time, machine_time, resident_mib},
    verify,
};

/// How long a row is loaded and measured.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// The processes whose time is read.
struct Watched<'a> {
    server: u32,
    openbao: Option<u32>,
    fakes: Option<&'a mut Fakes>,
}

/// One look at everything.
struct Look {
    at: Instant,
    server: Duration,
    load: Duration,
    fakes: Option<Duration>,
    openbao: Option<Duration>,
    machine: Duration,
    counters: Option<Counters>,
}

/// Measures a row. `answer_bytes` is the size of the answer that the limit gives.
pub(crate) async fn measure(
    scenario: &Scenario,
    binary: &Path,
    times: Times,
    answer_bytes: usize,
) -> Result<Row, BenchError> {
    match scenario.subject {
        Subject::Limit => limit(scenario, times, answer_bytes).await,
        Subject::Server { latency_ms, vault, tuning, storage } => {
            server(scenario, binary, times, (latency_ms, vault, tuning, storage)).await
        }
    }
}

async fn limit(scenario: &Scenario, times: Times, answer_bytes: usize) -> Result<Row, BenchError> {
    // For subject tokens of real size.
    let fakes = Fakes::start(0, scenario.tokens).await?;
    let limit = Limit::start(answer_bytes).await?;
    let load = Load::start(limit.address, scenario.connections, &fakes.neighbours.subject_tokens)?;
    let mut watched = Watched { server: limit.process_id()?, openbao: None, fakes: None };
    let (latencies, used) = watch(&load, &mut watched, times).await?;
    let resident = resident_mib(watched.server)?;
    let record = load.finish().await?;
    let row = Row::new(scenario, &latencies, &used)?;
    Ok(Row { server_rss_mib: resident, answer_bytes: record.answer_bytes, ..row })
}

async fn server(
    scenario: &Scenario,
    binary: &Path,
    times: Times,
    (latency_ms, vault, tuning, storage): (u64, VaultKind, Tuning, Storage),
) -> Result<Row, BenchError> {
    let mut fakes = Fakes::start(latency_ms, scenario.tokens).await?;
    let signer = Signer::start(vault, &fakes.neighbours).await?;
    let database = Database::start(storage).await?;
    let server =
        Server::start(Command::new(binary), PATIENCE, &fakes.neighbours, &signer, tuning, &database).await?;
    database.fill().await?;
    let round_trip = signer.round_trip().await?;
    let load = Load::start(server.exchange, scenario.connections, &fakes.neighbours.subject_tokens)?;
    let mut watched =
        Watched { server: server.process_id()?, openbao: signer.process_id(), fakes: Some(&mut fakes) };
    let watched_load = watch(&load, &mut watched, times).await;
    let resident = resident_mib(watched.server)?;
    let record = load.finish().await.inspect_err(|_| eprint!("{}", server.log()))?;
    let (latencies, used) = watched_load?;
    verify::verify(server.exchange, &server.issuer(), &record.samples).await?;
    let row = Row::new(scenario, &latencies, &used)?;
    Ok(Row {
        server_rss_mib: resident,
        vault_round_trip_ms: Some(round_trip.as_secs_f64() * 1e3),
        tokens_verified: record.samples.len(),
        answer_bytes: record.answer_bytes,
        ..row
    })
}

async fn watch(
    load: &Load,
    watched: &mut Watched<'_>,
    times: Times,
) -> Result<(Histogram<u64>, Used), BenchError> {
    sleep(times.warm_up).await;
    let before = watched.look().await?;
    load.begin();
    sleep(times.measured).await;
    let latencies = load.latencies();
    let after = watched.look().await?;
    Ok((latencies, before.until(&after)))
}

impl Watched<'_> {
    async fn look(&mut self) -> Result<Look, BenchError> {
        let fakes_process = self.fakes.as_ref().map(|fakes| fakes.process_id()).transpose()?;
        let counters = match &mut self.fakes {
            Some(fakes) => Some(fakes.counters().await?),
            None => None,
        };
        Ok(Look {
            counters,
            server: cpu_time(self.server)?,
            load: cpu_time(std::process::id())?,
            fakes: fakes_process.map(cpu_time).transpose()?,
            openbao: self.openbao.map(cpu_time).transpose()?,
            machine: machine_time(),
            at: Instant::now(),
        })
    }
}

impl Look {
    fn until(&self, after: &Self) -> Used {
        let both = |before: Option<Duration>, after: Option<Duration>| Some(after?.saturating_sub(before?));
        let counted = self.counters.zip(after.counters).map(|(before, after)| Counters {
            reviews: after.reviews - before.reviews,
            vault_calls: after.vault_calls - before.vault_calls,
            signatures: after.signatures - before.signatures,
        });
        Used {
            elapsed: after.at.duration_since(self.at),
            server: after.server.saturating_sub(self.server),
            load: after.load.saturating_sub(self.load),
            fakes: both(self.fakes, after.fakes),
            openbao: both(self.openbao, after.openbao),
            machine: after.machine.saturating_sub(self.machine),
            counted,
        }
    }
}
