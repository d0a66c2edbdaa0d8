//! A token as it is, without asking anybody.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jwtlet_core::{SubjectToken, service_account::ServiceAccount, subject::Rejection};
use serde_json::{Value, json};

use super::exchange::parts;
use crate::{
    clock,
    error::Error,
    exit::Exit,
    input,
    jwt::{self, Decoded, relative},
    output::{Output, Tone},
    port::Port,
    settings::Settings,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a token says, and what is wrong with it for which port; verifies no signature, prints no token
    Inspect(Inspect),
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The file with the token; `-`, or nothing, for standard input
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
}

pub(crate) fn run(command: &Command, settings: &Settings, output: Output) -> Result<Exit, Error> {
    let Command::Inspect(Inspect { file }) = command;
    let text = input::read(file)?;
    let token = SubjectToken::parse(text.trim()).map_err(Error::NotAToken)?;
    let decoded = jwt::decode(token.expose()).map_err(Error::NotAToken)?;
    let now = clock::now();
    let verdicts = [Port::Exchange, Port::Management].map(|port| (port, judge(port, &token, settings, now)));
    let value = json!({
        "header": decoded.header,
        "claims": decoded.claims,
        "expiresAt": decoded.time("exp"),
        "usable": verdicts.iter().map(|(port, verdict)| {
            let reason = verdict.as_ref().err();
            (port.name().to_owned(), json!({"usable": reason.is_none(), "reason": reason}))
        }).collect::<serde_json::Map<String, Value>>(),
    });
    output.show(&value, || {
        let lines = verdicts.iter().map(|(port, verdict)| {
            let said = match verdict {
                Ok(()) => output.paint(Tone::Good, "usable, if the cluster accepts it"),
                Err(reason) => output.paint(Tone::Bad, reason),
            };
            format!("for the {port}: {said}")
        });
        let lines: Vec<String> = lines.collect();
        let (parts, times) = (parts(&decoded.header, &decoded.claims), times(&decoded, now, output));
        format!("{parts}\n{times}{}\n", lines.join("\n"))
    })?;
    Ok(if verdicts.iter().any(|(_, verdict)| verdict.is_ok()) { Exit::Success } else { Exit::No })
}

/// What is wrong with a token for this port, by the rules that the server applies before it asks the cluster.
fn judge(port: Port, token: &SubjectToken, settings: &Settings, now: Timestamp) -> Result<(), String> {
    let says = |rejection: Rejection| format!("the token {rejection}");
    let claims = token.decode().map_err(says)?;
    claims.check(settings.audience(port), now).map_err(says)?;
    match &claims.subject {
        Some(subject) if subject.parse::<ServiceAccount>().is_err() => {
            Err(says(Rejection::NotServiceAccount))
        }
        _ => Ok(()),
    }
}

/// The times of a token, and how far they are.
pub(crate) fn times(token: &Decoded, now: Timestamp, output: Output) -> String {
    let mut table = output.table(&[]);
    for (claim, title) in [("iat", "issued"), ("nbf", "not before"), ("exp", "expires")] {
        if let Some(time) = token.time(claim) {
            table.row(&[title.to_owned(), time.to_string(), relative(time, now)]);
        }
    }
    table.finish()
}
