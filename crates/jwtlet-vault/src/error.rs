//! Why Vault did not do what was asked, and whose business that is.
//!
//! The text of an error is jwtlet's own and may be shown to operators by the readiness probe. What Vault wrote is kept
//! as a source, for the log only: it can hold anything.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use jwtlet_core::{
    UpstreamError,
    upstream::{System, chain},
};
use jwtlet_upstream::{Answer, CredentialError, HttpError};

use crate::{
    client::Call,
    key_version::KeyRefusal,
    refusal::{ItemRefusal, Refusal},
    sign_answer::{AnswerFault, ItemFault},
    signature::SignatureFault,
};

/// How long clients should wait when too many exchanges do already.
const BUSY_FOR: Duration = Duration::from_secs(1);

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
    #[error("Vault asked for a pause before the next login or renewal")]
    LoginPaused(Duration),
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
    #[error("Vault answers a batch with something that cannot be used")]
    Answer(#[from] AnswerFault),
    #[error("Vault does not sign one message of a batch")]
    ItemRefused(#[source] ItemRefusal),
    #[error("Vault does not know batches")]
    NoBatches,
    #[error("too many exchanges wait for a signature")]
    Busy,
    #[error("the call for signatures ended without an outcome")]
    Lost,
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
            | Self::LoginPaused(_)
            | Self::Http(_)
            | Self::NoData(_)
            | Self::Deadline
            | Self::Signature(_)
            | Self::Answer(_)
            | Self::ItemRefused(_)
            | Self::NoBatches
            | Self::Busy
            | Self::Lost => false,
        }
    }

    /// Whether a smaller request might have been served.
    pub(crate) fn is_about_size(&self) -> bool {
        matches!(self, Self::Status { refusal, .. } if refusal.is_about_size())
    }

    /// How long Vault asks to be left alone, or jwtlet itself.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(BUSY_FOR),
            Self::LoginPaused(left) => Some(*left),
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
            | Self::ItemRefused(_)
            | Self::KeyMissing { .. }
            | Self::MountMissing { .. } => self.to_string(),
            _ => chain(self),
        }
    }
}

impl From<ItemFault> for VaultError {
    fn from(fault: ItemFault) -> Self {
        match fault {
            ItemFault::Refused(text) => Self::ItemRefused(ItemRefusal::new(text)),
            ItemFault::Signature(fault) => Self::Signature(fault),
        }
    }
}

/// The error that an exchange gets; one failure can be that of many.
pub(crate) fn upstream_error(error: Arc<VaultError>) -> UpstreamError {
    let system = System::Vault;
    if error.is_misconfiguration() {
        UpstreamError::misconfigured(system, error)
    } else {
        UpstreamError::Unavailable { system, retry_after: error.retry_after(), cause: error.into() }
    }
}
