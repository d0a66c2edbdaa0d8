//! The long row: does memory grow with the number of exchanges?

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    catalog, environment,
    error::BenchError,
    load::Load,
    measure::requests,
    progress::Progress,
    scenario::{Scenario, Subject},
    server,
    usage::resident_mib,
    verify,
    world::World,
};

/// How often the load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// No exchange ended for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many tokens. They are those of many pods of the service accounts that the reference row has, so that what grows is
/// what is kept for tokens and not the policy.
const TOKENS: usize = 10_000;

/// What the server's memory was.
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct Endurance {
    pub(crate) exchanges: u64,
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
    /// Before the first exchange.
    pub(crate) rss_before_mib: f64,
    /// After half of the exchanges.
    pub(crate) rss_half_mib: f64,
    /// After all of them.
    pub(crate) rss_end_mib: f64,
}

impl Endurance {
    /// How many exchanges the target is about.
    pub(crate) const EXCHANGES: u64 = 10_000_000;
}

/// Exchanges so often over the tokens, with the connections and settings of the reference row.
pub(crate) async fn run(binary: &Path, exchanges: u64) -> Result<Endurance, BenchError> {
    let scenario = Scenario { tokens: TOKENS, ..catalog::reference() };
    let Subject::Server(setup) = scenario.subject else {
        return Err(BenchError::Nothing);
    };
    let world = World::start(&scenario, &setup, Command::new(binary), server::PATIENCE).await?;
    let address = world.server.exchange;
    let process = world.server.process_id()?;
    let rss_before_mib = resident_mib(process)?;
    let load = Load::start(
        address,
        scenario.connections,
        requests(&scenario, address, &world.fakes.neighbours),
        None,
    )?;
    let started = Instant::now();
    let mut progress = Progress::new(2, exchanges);
    progress.begin("endurance");
    let mut resident = [0.0; 2];
    for (target, resident) in [exchanges / 2, exchanges].into_iter().zip(&mut resident) {
        if let Err(error) = reach(&load, target).await {
            // What ended the load says more than that it ended.
            load.finish().await.inspect_err(|_| eprint!("{}", world.server.log()))?;
            return Err(error);
        }
        *resident = resident_mib(process)?;
        let words = format!("RSS {resident:.1} MiB after {target} exchanges");
        progress.end("endurance", exchanges / 2, &words);
    }
    let seconds = started.elapsed().as_secs_f64();
    let record = load.finish().await.inspect_err(|_| eprint!("{}", world.server.log()))?;
    let scopes = environment::scopes(scenario.scopes);
    verify::verify(address, &world.server.issuer(), setup.key, &scopes, &record.samples).await?;
    let [rss_half_mib, rss_end_mib] = resident;
    Ok(Endurance { exchanges, tokens: TOKENS, seconds, rss_before_mib, rss_half_mib, rss_end_mib })
}

/// Waits until so many exchanges have ended.
async fn reach(load: &Load, exchanges: u64) -> Result<(), BenchError> {
    let mut last = (load.exchanges(), Instant::now());
    loop {
        let now = load.exchanges();
        if now >= exchanges {
            return Ok(());
        }
        if now > last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            return Err(BenchError::Stuck(PATIENCE));
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = load.ended() => return Err(BenchError::Nothing),
        }
    }
}
