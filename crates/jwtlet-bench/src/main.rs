//! `jwtlet-bench`: measures the release server, and says whether the targets are met.
//!
//! Four processes take part, so that the cost of each can be told apart: the server under test, its Kubernetes and its
//! Vault (`jwtlet-bench fakes`, or a real OpenBao), and this one, which generates the load and reads everybody's CPU
//! time from `/proc`. The same load on `jwtlet-bench limit`, the bare HTTP stack, shows how much of a figure is HTTP.
//! `docs/benchmark.md` says what is measured and how to repeat it.

mod catalog;
mod chart;
mod client;
mod compare;
mod database;
mod disturbance;
mod endurance;
mod environment;
mod error;
mod fakes;
mod helper;
mod keep_alive;
mod limit;
mod load;
mod look;
mod measure;
mod profile;
mod progress;
mod report;
mod request;
mod row;
mod scenario;
mod server;
mod signer;
mod suite;
mod targets;
mod usage;
mod verdict;
mod verify;
mod world;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use jwtlet_core::upstream::chain;
use mimalloc::MiMalloc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use self::error::BenchError;

/// As in the server: the limit shows what its stack costs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures jwtlet-server under load. The table goes to standard output, progress to standard error.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// What is measured, and where the results go.
#[derive(clap::Args)]
struct Options {
    /// Less than a minute, for a first look and not for the record: one round of 1 second of the rows warm-64-2ms,
    /// half-64-2ms, limit-64, plain-64, sqlite, postgres, scopes-60, cold, openbao, openbao-unbatched, warm-1-2ms,
    /// warm-64-0ms, warm-256-0ms, warm-256-2ms, warm-256-20ms, es256 and junk.
    #[arg(long)]
    quick: bool,
    /// How long each row is measured in each round. Default: 10 for rows that a target needs and 5 for others, with
    /// --quick 1. In less than 10, not every token is reviewed again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: Option<u16>,
    /// How often rows are measured that a target needs; of each the round of median p50 counts. Default: 3, with
    /// --quick 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: Option<u16>,
    /// Also write the results here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the table here.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also draw the results here, as SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Only the row of this name, and the one that its target refers to. May be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also watch the server's memory during so many exchanges, 10,000,000 if not said otherwise, which takes ten minutes
    /// and more. `--only endurance` does nothing else.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10000000")]
    #[arg(value_parser = clap::value_parser!(u64).range(2..))]
    endurance: Option<u64>,
    /// The server to measure. Default: the one next to this program, after building it.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// What this program does besides measuring; most of it in processes that it starts itself.
#[derive(Subcommand)]
enum Role {
    /// The testkit's Kubernetes and Vault. Prints one line of JSON, then one for each line `counters`; ends with its
    /// input.
    #[command(hide = true)]
    Fakes(fakes::Options),
    /// Clients that the server must refuse. Prints one line of JSON, then one for each line `counters`; ends with its
    /// input.
    #[command(hide = true)]
    Disturb(disturbance::Options),
    /// Compares the ratios of two results of --json. Exit status 1 when one differs by more than 15 %.
    Compare { first: PathBuf, second: PathBuf },
    /// The HTTP stack of the server with a fixed answer. Prints one line of JSON; ends with its input.
    #[command(hide = true)]
    Limit(limit::Options),
    /// Counts the instructions of one warm exchange and compares them with the record in the repository.
    Profile(profile::Options),
}

fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    raise_descriptor_limit();
    let outcome = match cli.role {
        Some(Role::Fakes(options)) => run(Builder::new_multi_thread(), fakes::serve(options)).map(|()| true),
        Some(Role::Limit(options)) => run(Builder::new_multi_thread(), limit::serve(options)).map(|()| true),
        Some(Role::Disturb(options)) => {
            run(Builder::new_current_thread(), disturbance::serve(options)).map(|()| true)
        }
        Some(Role::Compare { first, second }) => compare::run(&first, &second),
        Some(Role::Profile(options)) => run(Builder::new_current_thread(), profile::run(&options)),
        // One thread for all connections: what the load costs is taken from the server.
        None => run(Builder::new_current_thread(), suite::run(&cli.options)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("jwtlet-bench: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// All processes of a measurement inherit it. A thousand connections need more than the usual soft limit, and ten thousand
/// may need more than the hard one: the row that has them then says what it could not open.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A limit that cannot be raised stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn run<T>(mut builder: Builder, role: impl Future<Output = Result<T, BenchError>>) -> Result<T, BenchError> {
    let runtime: Runtime = builder.enable_all().build().map_err(BenchError::Runtime)?;
    let outcome = runtime.block_on(role);
    // A thread that waits for standard input would be waited for.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}
