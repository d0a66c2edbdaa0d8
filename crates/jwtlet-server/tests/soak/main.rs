//! A soak: a continuous stream of exchanges while both neighbours have one bad day after the other.
//!
//! Workers exchange tokens without pause and judge every answer; a driver alternates between healthy phases, in which
//! no exchange may fail, and disturbed ones, in which only the refusals of the contract may come. A wrong answer is a
//! token that does not verify with the keys published right after it was issued, one that is another caller's, or a
//! refusal that the contract does not have.
//!
//! `JWTLET_SOAK_SECONDS` sets the length (10 when unset; 300 is the run for the record), `JWTLET_SOAK_SEED` repeats
//! the faults of another run. `--nocapture` shows the phases as they pass, and with `RUST_LOG=warn` why the server
//! refuses what it refuses.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod driver;
mod faults;
mod ledger;
mod random;
mod workers;
mod world;

use std::{env, sync::Arc, time::Duration};

use jwtlet_server::{config::LogFormat, logging};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    driver::Driver,
    ledger::{ISSUED_WHILE_HEALTHY, Ledger},
    random::Random,
    world::World,
};

const WORKERS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_wrong_while_both_neighbours_fail_rotate_and_restart_at_random() {
    let number = |name| env::var(name).ok().map(|text| text.parse().unwrap());
    let length = Duration::from_secs(number("JWTLET_SOAK_SECONDS").unwrap_or(10));
    let seed = number("JWTLET_SOAK_SEED").unwrap_or_else(Random::fresh_seed);
    let _ = logging::init(LogFormat::Text, LevelFilter::OFF);
    println!("soak: {length:?} with JWTLET_SOAK_SEED={seed}");

    let world = Arc::new(World::start().await);
    let ledger = Arc::new(Ledger::default());
    let stop = CancellationToken::new();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let random = Random::new(seed ^ (worker + 1).rotate_left(32));
        workers.spawn(workers::work(Arc::clone(&world), Arc::clone(&ledger), random, stop.clone()));
    }
    Driver::new(Arc::clone(&world), Arc::clone(&ledger), Random::new(seed)).run(length).await;
    stop.cancel();
    workers.join_all().await;

    println!("soak: {}", ledger.summary());
    let wrong = ledger.wrong();
    assert!(wrong.is_empty(), "seed {seed}, {} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ledger.count(ISSUED_WHILE_HEALTHY) > 0, "nothing was exchanged while both systems were healthy");
}
