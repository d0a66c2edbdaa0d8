//! The profile that continuous integration keeps: instructions for each warm exchange, and their record.
//!
//! Times of a shared machine tell little; the number of instructions hardly changes from one run to the next, so a record
//! in the repository shows what a change costs. `docs/performance.md` says how to read it.

mod callgrind;
mod record;
mod rounds;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use self::record::{Comparison, Counts};
use crate::{error::BenchError, server};

/// What is profiled, and what becomes of the counts.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Make what is counted the record, instead of comparing with it.
    #[arg(long)]
    record: bool,
    /// Leave the files of callgrind in this directory, which exists, for `callgrind_annotate`.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The server to profile. Default: the release build next to this program's, after building it.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// A figure of the record: so many exchanges at once, again and again.
struct Figure {
    name: &'static str,
    connections: u16,
    /// How many rounds the longer of two runs has more than the shorter.
    rounds: u32,
    /// How long Vault takes: longer than the server needs to take in a round, on a machine with other work too.
    latency_ms: u64,
}

impl Figure {
    /// In what the longer run has more.
    fn exchanges(&self) -> u64 {
        u64::from(self.connections) * u64::from(self.rounds)
    }
}

/// A client alone has a call to Vault of its own.
const ALONE: Figure = Figure { name: "alone", connections: 1, rounds: 100, latency_ms: 10 };
/// With company the call is shared, and this is a part of everything.
const IN_A_BATCH: Figure = Figure { name: "in_a_batch_of_64", connections: 64, rounds: 6, latency_ms: 300 };

/// Counts, then compares or records; false when more is executed than the record allows.
pub(crate) async fn run(options: &Options) -> Result<bool, BenchError> {
    let binary = match &options.server {
        Some(path) => server::existing(path.clone())?,
        None => server::release_binary().await?,
    };
    let valgrind = callgrind::version().await?;
    let files = tempfile::Builder::new().prefix("jwtlet-profile-").tempdir();
    let files: TempDir = files.map_err(|cause| BenchError::File("make a directory", cause))?;
    let directory = options.keep.as_deref().unwrap_or_else(|| files.path());
    let counts = Counts {
        alone: each(&binary, directory, &ALONE).await?,
        in_a_batch_of_64: each(&binary, directory, &IN_A_BATCH).await?,
        valgrind,
    };
    if options.record {
        print!("{}", counts.record()?);
        return Ok(true);
    }
    let Comparison { text, holds } = Counts::recorded()?.compare(&counts);
    print!("{text}");
    Ok(holds)
}

/// The instructions of one exchange: what a longer run takes more than a shorter one. Start and end cancel out.
async fn each(binary: &Path, directory: &Path, figure: &Figure) -> Result<u64, BenchError> {
    let count = async |rounds| {
        let output = directory.join(format!("callgrind.{}.{rounds}", figure.name));
        callgrind::count(binary, &output, figure, rounds).await
    };
    let (short, long) = tokio::try_join!(count(figure.rounds), count(2 * figure.rounds))?;
    let more = long.checked_sub(short).ok_or(BenchError::Nothing)?;
    Ok(more / figure.exchanges())
}
