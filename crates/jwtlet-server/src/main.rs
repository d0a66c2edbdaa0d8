//! `jwtlet-server`: the command line of the token exchange service.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use jwtlet_core::upstream::chain;
use jwtlet_server::{App, Config, config::ConfigError, descriptors, logging, output, probe::probe, threads};
use mimalloc::MiMalloc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use tracing_subscriber::filter::LevelFilter;

/// An exchange makes and drops about a hundred small values; `docs/performance.md` says what another allocator costs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// OAuth 2.0 token exchange (RFC 8693) for participant contexts: takes a Kubernetes service account token, returns a
/// short-lived JWT signed by Vault or OpenBao.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[arg(help = "The configuration, a TOML file; without it, the one that JWTLET_CONFIG_FILE names. \
                  Variables named JWTLET__A__B override its key a.b")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a configuration, prints everything that is wrong with it, and ends.
    CheckConfig {
        /// The configuration, a TOML file.
        file: PathBuf,
    },
    /// Asks the server that runs on this host with the same configuration whether it is live; status 0 means yes. For the
    /// health check of a container that has no shell.
    Probe {
        /// Asks whether an exchange would succeed instead, which needs Kubernetes, Vault and the store.
        #[arg(long)]
        ready: bool,
        /// The configuration of the server; without it, the one that `JWTLET_CONFIG_FILE` names.
        config: Option<PathBuf>,
    },
    /// Starts a Kubernetes and a Vault of its own, exchanges a token and shows how. Not for production.
    #[cfg(feature = "dev")]
    Dev(jwtlet_server::dev::Options),
}

fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    match cli.command {
        None => run(cli.config.or_else(file_from_environment).as_deref()),
        Some(Command::CheckConfig { file }) => check_config(&file),
        Some(Command::Probe { ready, config }) => on_threads(
            Some(NonZero::<usize>::MIN),
            ask(config.or_else(file_from_environment).as_deref(), ready),
        ),
        #[cfg(feature = "dev")]
        Some(Command::Dev(options)) => {
            on_threads(None, async { jwtlet_server::dev::run(options, stop_on_signal()).await })
        }
    }
}

/// Runs on so many threads, and ends with what that came to.
fn on_threads(worker_threads: Option<NonZero<usize>>, program: impl Future<Output = ExitCode>) -> ExitCode {
    match threads::runtime(worker_threads) {
        Ok(runtime) => runtime.block_on(program),
        Err(error) => {
            eprintln!("the threads cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The file that the environment names. Templates leave variables empty that they have no value for.
fn file_from_environment() -> Option<PathBuf> {
    std::env::var_os("JWTLET_CONFIG_FILE").filter(|name| !name.is_empty()).map(PathBuf::from)
}

fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    Config::load(file, &std::env::vars_os().collect::<Vec<_>>())
}

fn check_config(file: &Path) -> ExitCode {
    match load(Some(file)) {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            let line = format!("{}: the configuration is good\n", file.display());
            output::print(&line)
        }
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

async fn ask(file: Option<&Path>, ready: bool) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match probe(&config, ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(file: Option<&Path>) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let logging = logging::init(config.log_format, LevelFilter::INFO);
    descriptors::raise_limit(config.http.max_connections);
    let status = on_threads(config.http.worker_threads, serve(config));
    logging.finish();
    status
}

async fn serve(config: Config) -> ExitCode {
    let stop = stop_on_signal();
    let outcome = match App::bind(config) {
        Ok(app) => app.run(stop).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Cancelled by SIGTERM and Ctrl-C.
fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        use tokio::signal::{ctrl_c, unix};
        match unix::signal(unix::SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = ctrl_c() => {}
            },
            Err(_) => {
                let _ = ctrl_c().await;
            }
        }
        cancel.cancel();
    });
    stop
}
