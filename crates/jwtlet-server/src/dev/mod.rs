//! The development mode: the real server against a Kubernetes and a Vault of its own, on loopback.
//!
//! Nothing is simulated inside the server. The two neighbours speak the wire protocol with real keys, the policy is
//! seeded through the management API, and the exchange that is shown went over HTTP like anybody's.

mod environment;
mod error;
mod story;

use std::process::ExitCode;

use clap::Args;
use jwtlet_core::upstream::chain;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use self::{environment::Environment, error::DevError};
use crate::{config::LogFormat, logging, output};

/// How the development mode runs.
#[derive(Debug, Clone, Copy, Args)]
pub struct Options {
    /// End after the exchange, with status 0 when the issued token was verified and 1 otherwise.
    #[arg(long)]
    once: bool,
    /// The port of the exchange API; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    token_exchange_port: u16,
    /// The port of the management API; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    management_port: u16,
}

/// Runs until told to stop, or for one exchange.
pub async fn run(options: Options, stop: CancellationToken) -> ExitCode {
    let logging = logging::init(LogFormat::Text, LevelFilter::ERROR);
    let status = show_until(options, &stop).await;
    // A failure to end it is a failure to wait for it.
    let _ = tokio::task::spawn_blocking(move || logging.finish()).await;
    status
}

async fn show_until(options: Options, stop: &CancellationToken) -> ExitCode {
    let outcome = tokio::select! {
        outcome = show(options) => outcome,
        // Ctrl-C before the story is told.
        () = stop.cancelled() => return ExitCode::FAILURE,
    };
    match outcome {
        Ok((environment, printed)) => {
            if !options.once {
                stop.cancelled().await;
            }
            match environment.shut_down().await {
                Ok(()) => printed,
                Err(error) => fail(&error),
            }
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &DevError) -> ExitCode {
    eprintln!("jwtlet-server dev: {}", chain(error));
    ExitCode::FAILURE
}

async fn show(options: Options) -> Result<(Environment, ExitCode), DevError> {
    let environment = Environment::start(options.token_exchange_port, options.management_port).await?;
    let exchange = story::exchange(&environment).await?;
    let printed = output::print(&story::tell(&environment, &exchange, !options.once));
    Ok((environment, printed))
}
