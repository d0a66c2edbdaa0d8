//! The environment: where jwtlet is, what it should say of itself, and the commands that change the world around it.
//! `e2e/README.md` describes each variable.

use std::env;

use crate::{command::Command, failure::Failure};

/// Everything that the tests have to be told.
pub(crate) struct Settings {
    /// The base URL of the exchange API.
    pub(crate) exchange_url: String,
    /// The base URL of the management API.
    pub(crate) management_url: String,
    /// `iss` of issued tokens.
    pub(crate) issuer: String,
    /// `act.iss` of issued tokens.
    pub(crate) cluster_issuer: String,
    /// `aud` of a token for which none was requested.
    pub(crate) audience: String,
    /// The service account whose tokens are exchanged.
    pub(crate) client: String,
    /// The participant context that the policy of the installation grants to that account.
    pub(crate) installed_context: String,
    /// Prints a token of that account for the exchange.
    pub(crate) subject_token: Command,
    /// Prints a token of that account for another audience.
    pub(crate) foreign_token: Command,
    /// Prints a token of an account that may manage the policy.
    pub(crate) management_token: Command,
    /// Restarts jwtlet, and ends when the new processes run.
    pub(crate) restart: Command,
    /// Makes a new version of the signing key.
    pub(crate) rotate: Command,
    /// Excludes all versions of the signing key but the newest.
    pub(crate) retire: Command,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        Ok(Self {
            exchange_url: url("JWTLET_E2E_EXCHANGE_URL")?,
            management_url: url("JWTLET_E2E_MANAGEMENT_URL")?,
            issuer: text("JWTLET_E2E_ISSUER")?,
            cluster_issuer: text("JWTLET_E2E_CLUSTER_ISSUER")?,
            audience: text("JWTLET_E2E_AUDIENCE")?,
            client: text("JWTLET_E2E_CLIENT")?,
            installed_context: text("JWTLET_E2E_INSTALLED_CONTEXT")?,
            subject_token: command("JWTLET_E2E_SUBJECT_TOKEN_COMMAND")?,
            foreign_token: command("JWTLET_E2E_FOREIGN_TOKEN_COMMAND")?,
            management_token: command("JWTLET_E2E_MANAGEMENT_TOKEN_COMMAND")?,
            restart: command("JWTLET_E2E_RESTART_COMMAND")?,
            rotate: command("JWTLET_E2E_ROTATE_COMMAND")?,
            retire: command("JWTLET_E2E_RETIRE_COMMAND")?,
        })
    }
}

fn text(variable: &'static str) -> Result<String, Failure> {
    env::var(variable).ok().filter(|value| !value.is_empty()).ok_or(Failure::NoVariable(variable))
}

fn url(variable: &'static str) -> Result<String, Failure> {
    Ok(text(variable)?.trim_end_matches('/').to_owned())
}

fn command(variable: &'static str) -> Result<Command, Failure> {
    Ok(Command { variable, line: text(variable)? })
}
