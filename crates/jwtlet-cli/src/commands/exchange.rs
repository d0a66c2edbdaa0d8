//! One exchange.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

use clap::{Args, ValueEnum};
use jwtlet_core::{Audience, ParticipantContext, Scope};
use serde_json::{Value, json};

use super::token::times;
use crate::{
    cli::Format,
    client::ExchangeRequest,
    clock,
    error::Error,
    exit::Exit,
    jwks::Verdict,
    jwt,
    output::{Output, Tone},
    port::Port,
    settings::Settings,
    text::indented,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The participant context that the token is for
    #[arg(value_parser = ParticipantContext::parse)]
    context: ParticipantContext,
    /// A scope to request; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = Scope::parse)]
    scopes: Vec<Scope>,
    /// An audience to request; may be given several times
    #[arg(long = "audience", value_name = "AUDIENCE", value_parser = Audience::parse)]
    audiences: Vec<Audience>,
    /// The type of token to request
    #[arg(long, value_name = "TYPE", value_enum)]
    requested_token_type: Option<TokenType>,
    /// Shows header and claims and verifies the signature with the published keys, instead of printing the token
    #[arg(long)]
    decode: bool,
    /// Puts the token into this file instead of printing it, readable by its owner and group; a file that is there is
    /// replaced
    #[arg(long, value_name = "FILE", conflicts_with = "decode")]
    to_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenType {
    /// A JWT
    Jwt,
    /// An access token, which is a JWT too
    #[value(name = "access_token")]
    AccessToken,
}

impl TokenType {
    fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::AccessToken => "access_token",
        }
    }
}

pub(crate) async fn run(arguments: Arguments, settings: &Settings, output: Output) -> Result<Exit, Error> {
    let client = settings.exchange()?;
    let token = settings.token(Port::Exchange)?;
    let request = ExchangeRequest {
        resource: &arguments.context,
        scopes: &arguments.scopes,
        audiences: &arguments.audiences,
        requested_token_type: arguments.requested_token_type.map(TokenType::name),
    };
    let answer = client.exchange(&request, &token).await?;
    let issued = answer["access_token"].as_str().unwrap_or_default();
    if let Some(path) = &arguments.to_file {
        write(path, issued).map_err(|source| Error::Write { path: path.clone(), source })?;
        return Ok(Exit::Success);
    }
    if !arguments.decode {
        output.show(&answer, || format!("{issued}\n"))?;
        return Ok(Exit::Success);
    }
    let url = client.endpoint().url();
    let decoded = jwt::decode(issued)
        .map_err(|_| Error::Incomplete { url: url.to_owned(), missing: "a JWT in access_token" })?;
    let verdict = client.keys().await?.verify(issued, &decoded);
    let is_verified = verdict == Verdict::Verified;
    let said = verdict.describe(&decoded);
    let tone = if is_verified { Tone::Good } else { Tone::Bad };
    let value = json!({
        "header": decoded.header, "claims": decoded.claims, "verified": is_verified, "signature": said,
    });
    output.show(&value, || {
        let times = times(&decoded, clock::now(), output);
        format!(
            "{}\n{times}signature   {}\n",
            parts(&decoded.header, &decoded.claims),
            output.paint(tone, &said)
        )
    })?;
    if !is_verified && output.format != Format::Table {
        crate::output::note(&said);
    }
    Ok(if is_verified { Exit::Success } else { Exit::No })
}

/// Whoever reads the file sees the old token or the new one, whole.
fn write(path: &Path, token: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut unfinished = OsString::from(".");
    unfinished.push(name);
    unfinished.push(format!(".{}", process::id()));
    let unfinished = path.with_file_name(unfinished);
    let outcome = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(token.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if outcome.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    outcome
}

/// Header and claims as people read them.
pub(crate) fn parts(header: &Value, claims: &Value) -> String {
    format!("header\n{}claims\n{}", indented(header), indented(claims))
}
