//! Why a command did not do what it was asked: what happened, what to do about it, and the exit status.

use std::{io, path::PathBuf};

use jiff::Timestamp;
use jwtlet_upstream::HttpError;

use crate::{credentials::CredentialsError, documents::Mistakes, exit::Exit, input::InputError, port::Port};

/// What to do where a server does not know a member that this command does.
pub(crate) const OLDER_SERVER: &str = concat!(
    "the server is older than this command, ",
    env!("CARGO_PKG_VERSION"),
    ", or does not tell its version: update it, or leave out or mend the members that it does not know"
);

/// A failure. `Display` says what happened, [`Error::help`] what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no address of the {0} is given")]
    NoServer(Port),
    #[error("the address of the {port} cannot be used: {rule}")]
    Address { port: Port, rule: &'static str },
    #[error("the {port} at {url} cannot be reached")]
    Unreachable { port: Port, url: String, source: HttpError },
    #[error("the {port} at {url} did not answer in time")]
    TimedOut { port: Port, url: String, source: HttpError },
    #[error("the certificate of {url} is not trusted")]
    Untrusted { url: String, source: HttpError },
    #[error("{url} does not speak TLS")]
    NotTls { url: String, source: HttpError },
    #[error("the certificate authorities cannot be used")]
    Authorities { source: HttpError },
    #[error("the client certificate cannot be used")]
    ClientCertificate { source: HttpError },
    #[error("{url} does not accept the client certificate, or there is none")]
    NotAccepted { url: String, source: HttpError },
    #[error("{url} is the {} of jwtlet, not its {expected}", .expected.other())]
    WrongPort { expected: Port, url: String },
    #[error("{url} does not answer as the {expected} of jwtlet does (status {status})")]
    NotJwtlet { expected: Port, url: String, status: u16 },
    #[error("the server at {url} ({}) does not know {path}", known(.version.as_deref()))]
    TooOld { url: String, path: String, version: Option<String> },
    #[error("the server cannot answer now: {status}, {detail} (request {request_id})")]
    Unavailable { status: u16, detail: String, retry_after: Option<u64>, request_id: String },
    #[error("the answer of {url} cannot be understood")]
    Nonsense { url: String, source: HttpError },
    #[error("the answer of {url} cannot be understood: {missing} is missing")]
    Incomplete { url: String, missing: &'static str },
    #[error("there is no token for the {port}")]
    NoToken { port: Port, source: CredentialsError },
    #[error("the token for the {port} expired at {at}")]
    TokenExpired { port: Port, at: Timestamp },
    #[error("the token for the {port} is refused: {detail}")]
    TokenRefused { port: Port, detail: String, audiences: Vec<String> },
    #[error("the call is not permitted: {detail}")]
    RoleMissing { detail: String },
    #[error("the server refuses the request: {status}, {detail}")]
    Refused {
        status: u16,
        detail: String,
        /// Whether the server may be older than this command.
        may_be_older: bool,
    },
    #[error("{detail}")]
    NotFound { detail: String },
    #[error("{detail}")]
    Exists { detail: String },
    #[error("the record was changed since it was read: {detail}")]
    Changed { detail: String },
    #[error("the policy was changed since it was planned: {detail}")]
    PlanDiffers { detail: String },
    #[error("the exchange is refused: {code}: {description}")]
    Denied {
        code: String,
        description: String,
        /// The command that explains it.
        explain: String,
    },
    #[error(transparent)]
    Documents(#[from] Mistakes),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the token {0}")]
    NotAToken(jwtlet_core::subject::Rejection),
    #[error("{0} looks like a token: a token does not belong on the command line, where others can read it")]
    TokenInArguments(&'static str),
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// Whoever read standard output has seen enough.
    #[error("standard output was closed")]
    Closed,
}

fn known(version: Option<&str>) -> &str {
    version.unwrap_or("of an unknown version")
}

impl Error {
    /// The exit status.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoServer(_) | Self::Address { .. } => Exit::NoServer,
            Self::Unreachable { .. } | Self::TimedOut { .. } => Exit::Unreachable,
            Self::Untrusted { .. }
            | Self::NotTls { .. }
            | Self::Authorities { .. }
            | Self::ClientCertificate { .. }
            | Self::NotAccepted { .. } => Exit::Untrusted,
            Self::WrongPort { .. } | Self::NotJwtlet { .. } => Exit::WrongPort,
            Self::TooOld { .. } => Exit::TooOld,
            Self::Unavailable { .. } => Exit::Unavailable,
            Self::Nonsense { .. } | Self::Incomplete { .. } => Exit::Nonsense,
            Self::NoToken { .. } => Exit::NoToken,
            Self::TokenExpired { .. } => Exit::TokenExpired,
            Self::TokenRefused { .. } => Exit::TokenRefused,
            Self::RoleMissing { .. } => Exit::RoleMissing,
            // Servers say it in these words of serde.
            Self::Refused { detail, .. } if detail.contains("unknown field `") => Exit::UnknownField,
            Self::Refused { .. } => Exit::Refused,
            Self::NotFound { .. } => Exit::NotFound,
            Self::Exists { .. } => Exit::Exists,
            Self::Changed { .. } | Self::PlanDiffers { .. } => Exit::Changed,
            Self::Documents(mistakes) => mistakes.exit(),
            Self::Input(error) if error.is_no_document() => Exit::NotYaml,
            Self::Denied { .. } => Exit::Denied,
            Self::Input(_) | Self::TokenInArguments(_) | Self::Read { .. } => Exit::Usage,
            Self::NotAToken(_) => Exit::No,
            Self::Output(_) | Self::Write { .. } => Exit::Output,
            Self::Closed => Exit::Success,
        }
    }

    /// What to do about it, where the message itself does not say so.
    pub(crate) fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoServer(port) => {
                format!(
                    "give {} URL or set {}; an example is {}",
                    port.flag(),
                    port.variable(),
                    port.example()
                )
            }
            Self::Address { port, .. } => {
                format!("write it like {} in {} or {}", port.example(), port.flag(), port.variable())
            }
            Self::Unreachable { port, .. } => format!(
                "check the address in {} and that the server runs; outside the cluster, `kubectl port-forward` makes it reachable",
                port.flag()
            ),
            Self::TimedOut { .. } => "try again, or allow more time with --timeout".into(),
            Self::Untrusted { .. } => {
                "name the certificate authority that signed it with --ca-file FILE (JWTLET_CA_FILE), and use a host name that the certificate has".into()
            }
            Self::NotTls { .. } => "write the address with http://, or put TLS in front of the server".into(),
            Self::Authorities { .. } => "--ca-file (JWTLET_CA_FILE) needs a file with PEM certificates".into(),
            Self::ClientCertificate { .. } => {
                "--client-certificate (JWTLET_CLIENT_CERTIFICATE) and --client-key (JWTLET_CLIENT_KEY) need PEM files that belong together".into()
            }
            Self::NotAccepted { .. } => {
                "give --client-certificate FILE and --client-key FILE, of an authority in tls.client_ca_file of the server".into()
            }
            Self::WrongPort { expected, .. } => {
                format!("give the address of the {expected} with {} ({})", expected.flag(), expected.variable())
            }
            Self::NotJwtlet { expected, .. } => {
                format!("check the address in {} ({})", expected.flag(), expected.variable())
            }
            Self::TooOld { .. } => {
                format!("update the server to {} or newer, or use the command of its version", crate::VERSION)
            }
            Self::Unavailable { status: 429, retry_after, .. } => format!(
                "try again in {} s; [limits] in the server's configuration says how often somebody may ask",
                retry_after.unwrap_or(1)
            ),
            Self::Unavailable { retry_after: Some(seconds), .. } => {
                format!("try again in {seconds} s; `jwtlet doctor` says what is in the way")
            }
            Self::Unavailable { .. } => {
                "`jwtlet doctor` says what is in the way, and the server's log has the request id".into()
            }
            Self::Nonsense { source: HttpError::TooLong, .. } => {
                "ask for less at a time: with --limit, or with --owner or --label for an export".into()
            }
            Self::Nonsense { .. } | Self::Incomplete { .. } => {
                "check the address, and that server and command are of one version".into()
            }
            Self::NoToken { port, .. } => format!(
                "give --token-file FILE or --service-account NAMESPACE/NAME; without them the token is read from {}",
                port.default_token_file()
            ),
            Self::TokenExpired { .. } => {
                "get a new one: --service-account NAMESPACE/NAME does, and so does the kubelet for a projected token".into()
            }
            Self::TokenRefused { audiences, .. } if !audiences.is_empty() => format!(
                "the token is for {}; `jwtlet token inspect FILE` says what else is wrong with it",
                audiences.join(", ")
            ),
            Self::TokenRefused { .. } => "`jwtlet token inspect FILE` says what is wrong with it".into(),
            Self::RoleMissing { .. } => {
                "use another service account, or grant the role in [service_accounts] of the server's configuration".into()
            }
            Self::NotFound { .. } => "the list command shows what there is".into(),
            Self::Exists { .. } => "the update command changes it".into(),
            Self::Changed { .. } => "read it again and decide anew; nothing was changed".into(),
            Self::PlanDiffers { .. } => {
                "look at the new plan with `jwtlet policy diff` and apply that one; nothing was changed".into()
            }
            Self::Documents(mistakes) => mistakes.help().into(),
            Self::Refused { detail, may_be_older: true, .. } if detail.contains("unknown field `") => {
                OLDER_SERVER.into()
            }
            Self::Refused { detail, .. } if detail.contains("unknown field `") => {
                "leave the member out or mend its name; a newer server may know it".into()
            }
            Self::Input(error) if error.is_no_document() => "mend the file at the place that is named".into(),
            Self::Denied { explain, .. } => format!("`{explain}` says which rule refuses it"),
            Self::TokenInArguments(_) => "write it to a file, or pipe it to standard input".into(),
            Self::Refused { .. }
            | Self::Input(_)
            | Self::NotAToken(_)
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Output(_)
            | Self::Closed => return None,
        };
        Some(text)
    }
}
