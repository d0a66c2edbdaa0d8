//! Who is asking: the verified identity behind a subject token, and the port that verifies it.

use std::future::Future;

use jiff::Timestamp;

use crate::{Audience, ClientIdentifier, SubjectToken, UpstreamError, health::Health};

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The identity as the cluster states it.
    pub identity: ClientIdentifier,
    /// The cluster's unique id of that identity, which a recreated service account does not inherit.
    pub uid: Option<String>,
}

/// Why a token is not accepted. Displays as what follows the name of the parameter in a message to the caller; it never holds a
/// part of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not three base64url parts.
    #[error("is not a JWT in compact form (three base64url parts joined by dots, without padding)")]
    NotJwt,
    /// Longer than [`crate::subject_token::MAX_BYTES`].
    #[error("is longer than {} bytes", crate::subject_token::MAX_BYTES)]
    TooLong,
    /// A header that no service account token has, such as an unsigned or symmetric `alg`, a `crit` or an embedded key.
    #[error("has a JWT header that is not accepted: {0}")]
    Header(&'static str),
    /// Claims that are not a JSON object with unambiguous members and sane times.
    #[error("has claims that are not accepted: {0}")]
    Claims(&'static str),
    /// Past its `exp`.
    #[error("has expired; read the token file again and present the current token")]
    Expired,
    /// Before its `nbf`, or issued in the future.
    #[error("is not valid yet; check the clocks")]
    NotYetValid,
    /// Not meant for jwtlet.
    #[error("is not bound to the audience {0}; request a token with that audience")]
    WrongAudience(Audience),
    /// The token names the audience, but the cluster does not say that it checked it.
    #[error(
        "is not confirmed by the cluster to be bound to the audience {0}; ask its operator for an API server that reviews audiences"
    )]
    AudienceNotConfirmed(Audience),
    /// Some other kind of user.
    #[error("does not belong to a Kubernetes service account; present the token of one")]
    NotServiceAccount,
    /// The cluster says no. Its own words go to the log, not to the caller.
    #[error("is not accepted by the cluster; present the current token of an existing service account")]
    Refused,
}

/// Why there is no verified subject.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token is not good: the caller's fault.
    #[error("the token {0}")]
    Rejected(Rejection),
    /// The token is good, and its holder asks too often.
    #[error("{} asks too often", .subject.identity)]
    Limited {
        /// Who asks.
        subject: Subject,
        /// When to come back, in seconds.
        retry_after: u64,
    },
    /// The token could not be checked: ours.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Verifies subject tokens.
///
/// An implementation accepts a token only when the cluster confirms both the identity and the audience; anything it
/// cannot tell is an [`UpstreamError`], never an acceptance and never the caller's fault.
pub trait SubjectVerifier: Send + Sync + 'static {
    /// Verifies that the token is good now and bound to the audience.
    fn verify(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> impl Future<Output = Result<Subject, VerifyError>> + Send;

    /// Whether the next verification is expected to get an answer.
    fn health(&self) -> Health;
}
