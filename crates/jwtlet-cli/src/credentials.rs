//! Whose token is presented, and where it comes from.

use std::{
    io,
    process::{Command, Stdio},
};

use jwtlet_core::{
    SubjectToken, service_account::ServiceAccount, subject::Rejection, subject_token::UnverifiedClaims,
};
use jwtlet_upstream::{CredentialError, CredentialFile};
use secrecy::{ExposeSecret, SecretString};

use crate::{error::Error, port::Port, text::printable};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(transparent)]
    File(#[from] CredentialError),
    #[error("cannot run kubectl")]
    Start(#[source] io::Error),
    #[error("kubectl create token failed ({status}): {message}")]
    Kubectl { status: std::process::ExitStatus, message: String },
    #[error("what {origin} gives {rejection}")]
    NotAToken { origin: &'static str, rejection: Rejection },
}

/// Where tokens come from.
#[derive(Debug, Clone)]
pub(crate) enum TokenSource {
    /// A file that was named.
    File(String),
    /// `kubectl create token` for this account.
    Kubectl(ServiceAccount),
    /// The file that is projected for each port.
    Projected,
}

impl TokenSource {
    /// The words for it in a report.
    pub(crate) fn describe(&self, port: Port) -> String {
        match self {
            Self::File(path) => printable(path),
            Self::Kubectl(account) => format!("kubectl create token for {account}"),
            Self::Projected => port.default_token_file().to_owned(),
        }
    }

    /// A token for this port.
    pub(crate) fn token(&self, port: Port, audience: &str) -> Result<Token, Error> {
        let token = match self {
            Self::File(path) => read(path),
            Self::Kubectl(account) => kubectl(account, audience),
            Self::Projected => read(port.default_token_file()),
        };
        token.map_err(|source| Error::NoToken { port, source })
    }
}

/// A token to present. `Debug` does not show it.
#[derive(Debug, Clone)]
pub(crate) struct Token(SubjectToken);

impl Token {
    fn parse(text: &SecretString, origin: &'static str) -> Result<Self, CredentialsError> {
        SubjectToken::parse(text.expose_secret())
            .map(Self)
            .map_err(|rejection| CredentialsError::NotAToken { origin, rejection })
    }

    /// The token, to be sent and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What it says of itself, where that is readable.
    pub(crate) fn claims(&self) -> Option<UnverifiedClaims> {
        self.0.decode().ok()
    }

    /// The same with the reason why it is not.
    pub(crate) fn decode(&self) -> Result<UnverifiedClaims, Rejection> {
        self.0.decode()
    }
}

fn read(path: &str) -> Result<Token, CredentialsError> {
    Token::parse(&CredentialFile::new(path).token()?, "the file")
}

fn kubectl(account: &ServiceAccount, audience: &str) -> Result<Token, CredentialsError> {
    let output = Command::new("kubectl")
        .args(["create", "token", account.name(), "-n", account.namespace()])
        .arg(format!("--audience={audience}"))
        .stdin(Stdio::null())
        .output()
        .map_err(CredentialsError::Start)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = printable(message.trim()).chars().take(600).collect();
        return Err(CredentialsError::Kubectl { status: output.status, message });
    }
    let text = SecretString::from(String::from_utf8_lossy(&output.stdout).trim());
    Token::parse(&text, "kubectl")
}
