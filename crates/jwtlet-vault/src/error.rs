//! Why Vault did not do what was asked, and whose business that is.
//!
//! The text of an error is jwtlet's own and may be shown to operators by the readiness probe. What Vault wrote is kept
//! as a source, for the log only: it can hold anything.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;
use jwtlet_core::{
    UpstreamError,
    upstream::{System, chain},
};
use jwtlet_upstream::{Answer, CredentialError, HttpError, retry_after};

use crate::{client::Call, key_ring::KeyRefusal, signature::SignatureFault, wire::Errors};

/// As much of Vault's own texts as a log line needs, in characters.
const LONGEST_TEXT: usize = 500;

/// What Vault said when it refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    texts: Vec<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        let texts = answer.json::<Errors>().map(|body| body.errors).unwrap_or_default();
        Self { status: answer.status, texts, retry_after: retry_after(&answer.headers) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status.as_u16())?;
        let texts = self.texts.join("; ");
        let end = texts.char_indices().nth(LONGEST_TEXT).map_or(texts.len(), |(index, _)| index);
        if texts.is_empty() { Ok(()) } else { write!(f, ", \"{}\"", texts[..end].escape_debug()) }
    }
}

impl std::error::Error for Refusal {}

/// Why a call or what it is part of failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("the Vault token must be one word of printable ASCII")]
    UnsendableToken,
    #[error("jwtlet has not logged in to Vault yet")]
    NotLoggedIn,
    #[error("Vault refuses the login with the role {role:?} at auth/{mount}")]
    LoginRefused {
        role: String,
        mount: String,
        #[source]
        refusal: Refusal,
    },
    #[error("Vault answers the login without a token")]
    LoginWithoutToken,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(
        "Vault denies access to {path}: the token is invalid or expired, or its policy lacks \
         path \"{path}\" {{ capabilities = [\"{capability}\"] }}"
    )]
    Forbidden {
        path: String,
        capability: &'static str,
        #[source]
        refusal: Refusal,
    },
    #[error("Vault answers the call to {path} with status {}", .refusal.status.as_u16())]
    Status {
        path: String,
        #[source]
        refusal: Refusal,
    },
    #[error("the answer to the call to {0} has no data")]
    NoData(String),
    #[error("no answer within the time that an exchange may wait")]
    Deadline,
    #[error(
        "the signing key {key:?} does not exist at the mount {mount:?}: create it with \
         `vault write -f {mount}/keys/{key} type=ed25519`, or let jwtlet create it with the policy \
         path \"{mount}/keys/{key}\" {{ capabilities = [\"read\", \"update\"] }}"
    )]
    KeyMissing {
        key: String,
        mount: String,
        #[source]
        refusal: Refusal,
    },
    #[error(
        "there is no transit engine at the mount {mount:?}: enable it with `vault secrets enable -path={mount} transit`, \
         or correct vault.transit_mount or vault.namespace"
    )]
    MountMissing {
        mount: String,
        #[source]
        refusal: Refusal,
    },
    #[error("the key {key:?} at the mount {mount:?} cannot sign JWTs")]
    KeyRefused {
        key: String,
        mount: String,
        #[source]
        reason: KeyRefusal,
    },
    #[error("Vault answers with a signature that cannot be used")]
    Signature(#[from] SignatureFault),
    #[error("the signing key was not read yet")]
    NotReady(#[source] Option<Arc<VaultError>>),
}

impl VaultError {
    /// The error for an answer whose status is not a success.
    pub(crate) fn refused(call: &Call<'_>, answer: &Answer) -> Self {
        let (path, refusal) = (call.path.to_owned(), Refusal::of(answer));
        if refusal.status == StatusCode::FORBIDDEN {
            Self::Forbidden { path, capability: call.capability, refusal }
        } else {
            Self::Status { path, refusal }
        }
    }

    /// The status of a refusal that has no other meaning yet.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Forbidden { refusal, .. } | Self::Status { refusal, .. } => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether a key ring that is out of date explains it. Vault says "no such version" with 500, newer versions with
    /// 400; a node that lags behind does so too.
    pub(crate) fn may_be_stale_key(&self) -> bool {
        matches!(self.status(), Some(StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR))
            || matches!(self, Self::Signature(SignatureFault::OtherVersion { .. }))
    }

    /// Whether only an operator can mend it.
    fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Credential(CredentialError::Unusable(..))
            | Self::UnsendableToken
            | Self::LoginRefused { .. }
            | Self::LoginWithoutToken
            | Self::Forbidden { .. }
            | Self::KeyMissing { .. }
            | Self::MountMissing { .. }
            | Self::KeyRefused { .. } => true,
            Self::Status { refusal, .. } => refusal.status == StatusCode::NOT_FOUND,
            Self::NotReady(cause) => cause.as_ref().is_some_and(|cause| cause.is_misconfiguration()),
            Self::Credential(CredentialError::Read { .. })
            | Self::NotLoggedIn
            | Self::Http(_)
            | Self::NoData(_)
            | Self::Deadline
            | Self::Signature(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { refusal, .. } => refusal.retry_after,
            Self::NotReady(cause) => cause.as_ref().and_then(|cause| cause.retry_after()),
            _ => None,
        }
    }

    /// The error for the readiness probe: all of it, but without the texts that Vault sent.
    pub(crate) fn operator_text(&self) -> String {
        match self {
            Self::LoginRefused { .. }
            | Self::Forbidden { .. }
            | Self::Status { .. }
            | Self::KeyMissing { .. }
            | Self::MountMissing { .. } => self.to_string(),
            _ => chain(self),
        }
    }
}

impl From<VaultError> for UpstreamError {
    fn from(error: VaultError) -> Self {
        let system = System::Vault;
        if error.is_misconfiguration() {
            Self::misconfigured(system, error)
        } else {
            Self::Unavailable { system, retry_after: error.retry_after(), cause: error.into() }
        }
    }
}
