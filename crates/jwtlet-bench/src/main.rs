//! `jwtlet-bench`: measures the release server, and says whether the targets are met.
//!
//! Four processes take part, so that the cost of each can be told apart: the server under test, its Kubernetes and its
//! Vault (`jwtlet-bench fakes`, or a real OpenBao), and this one, which generates the load and reads everybody's CPU
//! time from `/proc`. The same load on `jwtlet-bench limit`, the bare HTTP stack, shows how much of a figure is HTTP.
//! `docs/benchmark.md` says what is measured and how to repeat it.

mod client;
mod database;
mod environment;
mod error;
mod fakes;
mod helper;
mod keep_alive;
mod limit;
mod load;
mod measure;
mod profile;
mod report;
mod row;
mod scenario;
mod server;
mod signer;
mod suite;
mod targets;
mod usage;
mod verify;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use jwtlet_core::upstream::chain;
use mimalloc::MiMalloc;
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
    /// One round of 2 seconds a row: for a first look, not for the record.
    #[arg(long)]
    quick: bool,
    /// How long each row is measured in each round. Default: 10, with --quick 2. In less than 10,
    /// no token is reviewed again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: Option<u16>,
    /// How often the whole list is measured; of each row the round of median p50 counts. Default: 3, with
    /// --quick 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: Option<u16>,
    /// Also write the results here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the table here.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Only the row of this name. May be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The server to measure. Default: the one next to this program, after building it.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// The processes that this program starts itself as.
#[derive(Subcommand)]
enum Role {
    /// The testkit's Kubernetes and Vault. Prints one line of JSON, then one for each line `counters`; ends with its
    /// input.
    #[command(hide = true)]
    Fakes(fakes::Options),
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
    let outcome = match cli.role {
        Some(Role::Fakes(options)) => run(Builder::new_multi_thread(), fakes::serve(options)).map(|()| true),
        Some(Role::Limit(options)) => run(Builder::new_multi_thread(), limit::serve(options)).map(|()| true),
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

fn run<T>(mut builder: Builder, role: impl Future<Output = Result<T, BenchError>>) -> Result<T, BenchError> {
    let runtime: Runtime = builder.enable_all().build().map_err(BenchError::Runtime)?;
    let outcome = runtime.block_on(role);
    // A thread that waits for standard input would be waited for.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}
