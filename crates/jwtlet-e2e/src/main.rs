//! `jwtlet-e2e`: whether an installed jwtlet does what it is there for.
//!
//! It calls a running service at its addresses, and changes the world around it with commands that the environment names:
//! `kubectl` on a cluster, anything else elsewhere. So the same program tests a cluster and, in continuous integration, a
//! process with its neighbours. [`settings`] has the variables, [`scenarios`] what is tested.

mod command;
mod failure;
mod policy;
mod scenarios;
mod service;
mod settings;
mod token;

use std::{process::ExitCode, time::Instant};

use jwtlet_core::upstream::chain;
use scenarios::SCENARIOS;
use service::Service;
use settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let service = match Settings::from_environment().and_then(Service::new) {
        Ok(service) => service,
        Err(error) => {
            eprintln!("{}", chain(&error));
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for scenario in SCENARIOS {
        let started = Instant::now();
        let outcome = (scenario.run)(&service).await;
        let seconds = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("ok      {} ({seconds:.1} s)", scenario.name),
            Err(error) => {
                failed += 1;
                println!("FAILED  {} ({seconds:.1} s)\n        {}", scenario.name, chain(&error));
            }
        }
    }
    println!("{} passed, {failed} failed", SCENARIOS.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
