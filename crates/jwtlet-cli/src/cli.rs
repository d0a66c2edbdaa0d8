//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jwtlet_core::name::{LabelKey, LabelValue, Owner};
use serde_json::{Map, Value, json};

use crate::{
    commands::{audit, exchange, explain, lint, mapping, policy, scope, shell, token},
    exit,
};

/// Administers jwtlet, the OAuth 2.0 token exchange service for participant contexts.
///
/// It talks to a server over HTTP: to the management API for policy, audit trail and explanations, and to the exchange
/// API for tokens and keys.
#[derive(Debug, Parser)]
#[command(name = "jwtlet", version, max_term_width = 100, after_long_help = exit::HELP)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    #[arg(help = "The address of the management API, such as http://localhost:8081")]
    #[arg(long, global = true, value_name = "URL", env = "JWTLET_SERVER", hide_env_values = true)]
    pub(crate) server: Option<String>,
    #[arg(help = "The address of the exchange API, such as http://localhost:8080")]
    #[arg(long, global = true, value_name = "URL", env = "JWTLET_EXCHANGE_SERVER", hide_env_values = true)]
    pub(crate) exchange_server: Option<String>,
    /// The only certificate authorities to trust, a PEM file; without it, those of the system
    #[arg(long, global = true, value_name = "FILE", env = "JWTLET_CA_FILE", hide_env_values = true)]
    pub(crate) ca_file: Option<String>,
    /// The certificate to show to a server that asks its clients for one, a PEM file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "JWTLET_CLIENT_CERTIFICATE",
        hide_env_values = true
    )]
    pub(crate) client_certificate: Option<String>,
    /// The private key of that certificate, a PEM file
    #[arg(long, global = true, value_name = "FILE", env = "JWTLET_CLIENT_KEY", hide_env_values = true)]
    pub(crate) client_key: Option<String>,
    #[arg(long, global = true, value_name = "FILE", env = "JWTLET_TOKEN_FILE", hide_env_values = true)]
    #[arg(help = "The service account token to present; without it, the one that is projected to \
                  /var/run/secrets/jwtlet/management-token or …/exchange-token")]
    pub(crate) token_file: Option<String>,
    /// Presents a new token of this service account, which `kubectl create token` is asked for
    #[arg(
        long,
        global = true,
        value_name = "NAMESPACE/NAME",
        env = "JWTLET_SERVICE_ACCOUNT",
        hide_env_values = true
    )]
    pub(crate) service_account: Option<String>,
    /// The audience of tokens for the management API [default: jwtlet-management]
    #[arg(
        long,
        global = true,
        value_name = "AUDIENCE",
        env = "JWTLET_MANAGEMENT_AUDIENCE",
        hide_env_values = true
    )]
    pub(crate) management_audience: Option<String>,
    /// The audience of tokens for the exchange API [default: jwtlet-exchange]
    #[arg(
        long,
        global = true,
        value_name = "AUDIENCE",
        env = "JWTLET_EXCHANGE_AUDIENCE",
        hide_env_values = true
    )]
    pub(crate) exchange_audience: Option<String>,
    /// How results are printed; colours only on a terminal, and not when `NO_COLOR` is set
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// The most time that a call may take, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// Says on standard error which requests are made; never a token
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: what the API answers
    Json,
    /// The same as YAML
    Yaml,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Exchanges the service account's token and prints the issued one
    Exchange(exchange::Arguments),
    /// Looks at tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Resource mappings: which client may act for which participant context
    #[command(subcommand)]
    Mapping(mapping::Command),
    /// Scope mappings: which claims a granted scope adds
    #[command(subcommand)]
    Scope(scope::Command),
    /// The policy as documents in files: exported, compared, applied
    #[command(subcommand)]
    Policy(policy::Command),
    /// Why an exchange would be granted or refused, rule by rule
    Explain(explain::Arguments),
    /// What of the policy has no effect, contradicts itself, or ends soon
    Lint(lint::Arguments),
    /// The audit trail: who changed what, or tried to
    #[command(subcommand)]
    Audit(audit::Command),
    /// Checks addresses, readiness, keys, clocks, tokens and roles, and says what to mend
    Doctor,
    /// Prints a completion script
    Completions(shell::Completions),
    /// Prints the manual page, in roff
    Man,
}

/// Which page of a list.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// At most so many records, 1 to 1000; without it, all of them
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: Option<u16>,
    /// Where to go on, as the page before said
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

/// Whose records, and with which labels.
#[derive(Debug, Args)]
pub(crate) struct Metadata {
    /// Only those of this owner
    #[arg(long, value_name = "OWNER", value_parser = Owner::parse)]
    owner: Option<Owner>,
    /// Only those with this label, `KEY=VALUE`, or with any value of it, `KEY`; may be given several times, and then all
    /// have to match
    #[arg(long = "label", value_name = "LABEL", value_parser = label_filter)]
    labels: Vec<String>,
}

impl Metadata {
    /// The filters of a list.
    pub(crate) fn filters(&self) -> Vec<(&'static str, &str)> {
        let owner = self.owner.as_ref().map(|owner| ("owner", owner.as_str()));
        owner.into_iter().chain(self.labels.iter().map(|label| ("label", label.as_str()))).collect()
    }
}

fn label_filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(_) => label(text).map(drop)?,
        None => LabelKey::parse(text).map(drop).map_err(|rule| format!("the key {rule}"))?,
    }
    Ok(text.to_owned())
}

/// `KEY=VALUE`.
pub(crate) fn label(text: &str) -> Result<(LabelKey, LabelValue), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    let key = LabelKey::parse(key).map_err(|rule| format!("the key {rule}"))?;
    Ok((key, LabelValue::parse(value).map_err(|rule| format!("the value {rule}"))?))
}

/// Who looks after a record that is created or changed, and its labels.
#[derive(Debug, Args)]
pub(crate) struct Notes {
    /// Who looks after it, such as a team
    #[arg(long, value_name = "OWNER", value_parser = Owner::parse)]
    owner: Option<Owner>,
    /// A label to find it by; may be given several times. An update keeps the labels with other keys
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(LabelKey, LabelValue)>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.owner.is_none() && self.labels.is_empty()
    }

    /// Sets what was given.
    pub(crate) fn write(&self, record: &mut Map<String, Value>) {
        if let Some(owner) = &self.owner {
            record.insert("owner".into(), json!(owner));
        }
        if self.labels.is_empty() {
            return;
        }
        let labels = record.entry("labels").or_insert_with(|| json!({}));
        for (key, value) in &self.labels {
            labels[key.as_str()] = json!(value);
        }
    }
}

/// Notes that an update takes away.
#[derive(Debug, Args)]
pub(crate) struct NoNotes {
    /// Makes it belong to nobody
    #[arg(long, conflicts_with = "owner")]
    no_owner: bool,
    /// Takes a label away; may be given several times
    #[arg(long = "remove-label", value_name = "KEY", value_parser = LabelKey::parse)]
    remove_labels: Vec<LabelKey>,
}

impl NoNotes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.no_owner && self.remove_labels.is_empty()
    }

    /// Takes away what was given.
    pub(crate) fn write(&self, record: &mut Map<String, Value>) {
        if self.no_owner {
            record.remove("owner");
        }
        if let Some(labels) = record.get_mut("labels").and_then(Value::as_object_mut) {
            labels.retain(|key, _| !self.remove_labels.iter().any(|removed| removed.as_str() == key));
        }
    }
}

/// A record in a file.
#[derive(Debug, Args)]
pub(crate) struct RecordFile {
    /// The record, JSON or YAML; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
