//! Measures one row: starts everybody, warms up, looks at the clocks and counters twice, verifies, stops everybody.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use jwtlet_testkit::KeyType;
use tokio::{process::Command, time::sleep};

use crate::{
    disturbance::Disturber,
    environment,
    error::BenchError,
    fakes::{self, Counters, Fakes, Neighbours},
    limit::Limit,
    load::{Load, Requests},
    look::{Used, Watched},
    request::request,
    row::Row,
    scenario::{Order, Pace, Scenario, Setup, Subject},
    server::PATIENCE,
    usage::resident_mib,
    verify,
    world::World,
};

/// See [`Times::tokens`].
const TOKENS_PER_SECOND: usize = 5000;

/// How long a row is loaded and measured.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What a row takes from those before it.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// The size of an answer of the reference row, which is what the limit answers.
    pub(crate) answer_bytes: usize,
    /// The exchanges per second of the reference row when it was last measured.
    pub(crate) per_second: Option<f64>,
}

impl Times {
    /// How many tokens there are in a row that uses each once. They are signed beforehand, which takes about as long as
    /// the row itself; a server that asks for more of them has its row ended early.
    fn tokens(self) -> usize {
        let seconds = (self.warm_up + self.measured).as_millis().div_ceil(1000);
        TOKENS_PER_SECOND.saturating_mul(usize::try_from(seconds).unwrap_or(usize::MAX))
    }
}

/// Measures a row.
pub(crate) async fn measure(
    scenario: &Scenario,
    binary: &Path,
    times: Times,
    known: Known,
) -> Result<Row, BenchError> {
    let tokens = match scenario.order {
        Order::Cycle => scenario.tokens,
        Order::Once => times.tokens(),
    };
    let scenario = &Scenario { tokens, ..scenario.clone() };
    match scenario.subject {
        Subject::Limit => limit(scenario, times, known).await,
        Subject::Server(setup) => server(scenario, &setup, binary, times, known).await,
    }
}

async fn limit(scenario: &Scenario, times: Times, known: Known) -> Result<Row, BenchError> {
    let Scenario { clients, tokens, .. } = *scenario;
    // For subject tokens of real size.
    let options = fakes::Options { latency_ms: 0, clients, tokens, key: KeyType::Ed25519 };
    let neighbours = Fakes::start(options).await?.neighbours;
    let limit = Limit::start(known.answer_bytes).await?;
    let requests = requests(scenario, limit.address, &neighbours);
    let load = Load::start(limit.address, scenario.connections, requests, None)?;
    let mut watched = Watched { server: limit.process_id()?, openbao: None, fakes: None, disturber: None };
    let (latencies, used) = watch(&load, &mut watched, times).await?;
    let resident = resident_mib(watched.server)?;
    let record = load.finish().await?;
    let row = Row::new(scenario, &latencies, &used)?;
    Ok(Row { server_rss_mib: resident, answer_bytes: record.answer_bytes, ..row })
}

async fn server(
    scenario: &Scenario,
    setup: &Setup,
    binary: &Path,
    times: Times,
    known: Known,
) -> Result<Row, BenchError> {
    let per_second = match scenario.pace {
        Pace::Closed => None,
        Pace::HalfOf(row) => Some(known.per_second.ok_or(BenchError::NoReference(row))? / 2.0),
    };
    let mut world = World::start(scenario, setup, Command::new(binary), PATIENCE).await?;
    let address = world.server.exchange;
    let neighbours = &world.fakes.neighbours;
    let mut disturber = match scenario.disturbance {
        Some(kind) => Some(Disturber::start(kind, address, neighbours).await?),
        None => None,
    };
    let load =
        Load::start(address, scenario.connections, requests(scenario, address, neighbours), per_second)?;
    let mut watched = Watched {
        server: world.server.process_id()?,
        openbao: world.signer.process_id(),
        fakes: Some(&mut world.fakes),
        disturber: disturber.as_mut(),
    };
    let watched_load = watch(&load, &mut watched, times).await;
    let resident = resident_mib(watched.server)?;
    let record = load.finish().await.inspect_err(|_| eprint!("{}", world.server.log()))?;
    let (latencies, used) = watched_load?;
    if let Some(accepted) = used.disturbed.map(|outcomes| outcomes.accepted).filter(|accepted| *accepted > 0)
    {
        return Err(BenchError::Accepted(accepted));
    }
    let scopes = environment::scopes(scenario.scopes);
    verify::verify(address, &world.server.issuer(), setup.key, &scopes, &record.samples).await?;
    let signatures_per_call = used.counted.as_ref().map_or(1, Counters::signatures_per_call);
    let row = Row::new(scenario, &latencies, &used)?;
    let round_trip = world.signer.round_trip(signatures_per_call).await?;
    Ok(Row {
        server_rss_mib: resident,
        vault_round_trip_ms: Some(round_trip.as_secs_f64() * 1e3),
        tokens_verified: record.samples.len(),
        answer_bytes: record.answer_bytes,
        ..row
    })
}

/// One request for each subject token.
pub(crate) fn requests(
    scenario: &Scenario,
    address: std::net::SocketAddr,
    neighbours: &Neighbours,
) -> Requests {
    let scopes = environment::scopes(scenario.scopes);
    let bytes = neighbours.subject_tokens.iter().map(|token| request(address, token, &scopes)).collect();
    Requests { bytes, order: scenario.order }
}

async fn watch(
    load: &Load,
    watched: &mut Watched<'_>,
    times: Times,
) -> Result<(Histogram<u64>, Used), BenchError> {
    sleep(times.warm_up).await;
    let before = watched.look().await?;
    load.begin();
    let began = Instant::now();
    tokio::select! {
        () = sleep(times.measured) => {}
        () = load.ended() => {}
    }
    let (latencies, elapsed) = (load.latencies(), began.elapsed());
    let after = watched.look().await?;
    Ok((latencies, Used { elapsed, ..before.until(&after) }))
}
