//! `jwtlet`: the administration command, as a library that its program and the fuzzer use.
//!
//! It knows the server by its HTTP interface alone, so that it works with any version of it, and shows members of
//! records that it does not know. `cli` is what can be typed, `commands` what happens then; `client` talks to the
//! servers, `output` to people and programs. Every failure is an `error::Error`: what happened, what to do, and an
//! exit status of its own.
//!
//! Invariant: a token is printed only by `jwtlet exchange`, whose purpose it is. It is in no message, no `Debug` and no
//! trace of requests, also where somebody put it in the place of a name.

mod cli;
mod client;
mod clock;
mod commands;
mod credentials;
mod documents;
mod error;
mod exit;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod input;
mod jwks;
mod jwt;
mod output;
mod port;
mod settings;
mod text;
mod yaml;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use jwtlet_core::upstream::chain;

use crate::{
    cli::{Cli, Command},
    error::Error,
    exit::Exit,
    output::{Output, note},
    settings::Settings,
};

/// The version of this command.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Does what the command line of this process says. Gives its exit status.
pub async fn run_command_line() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let parsed = Cli::command().try_get_matches();
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let exit = match parsed {
        Ok((cli, matches)) => run(cli, &matches).await.unwrap_or_else(|error| report(&error)),
        Err(error) => return usage(&error),
    };
    exit.into()
}

async fn run(cli: Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let output = Output::new(cli.global.output);
    let settings = || Settings::new(&cli.global, matches);
    match cli.command {
        Command::Exchange(arguments) => commands::exchange::run(arguments, &settings()?, output).await,
        Command::Token(command) => commands::token::run(&command, &settings()?, output),
        Command::Mapping(command) => commands::mapping::run(command, &settings()?, output).await,
        Command::Scope(command) => commands::scope::run(command, &settings()?, output).await,
        Command::Policy(command) => commands::policy::run(command, settings, output).await,
        Command::Explain(arguments) => commands::explain::run(&arguments, &settings()?, output).await,
        Command::Lint(arguments) => commands::lint::run(&arguments, &settings()?, output).await,
        Command::Audit(command) => commands::audit::run(command, &settings()?, output).await,
        Command::Doctor => commands::doctor::run(&settings()?, output).await,
        Command::Completions(arguments) => commands::shell::completions(&arguments, output),
        Command::Man => commands::shell::man(output),
    }
}

/// Says what happened and what to do about it.
fn report(error: &Error) -> Exit {
    if !matches!(error, Error::Closed) {
        note(&format!("error: {}", text::without_tokens(&chain(error))));
        if let Some(help) = error.help() {
            note(&format!("help: {help}"));
        }
    }
    error.exit()
}

/// Prints what `clap` says: help, the version, or what is wrong with the command line, which it quotes.
fn usage(error: &clap::Error) -> ExitCode {
    let said = error.render().to_string();
    let fit = text::without_tokens(&said);
    if fit == said {
        // Standard output may be closed, and standard error too.
        let _ = error.print();
    } else {
        note(fit.trim_end());
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
