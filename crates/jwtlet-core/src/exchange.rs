//! One exchange from the presented token to the issued one: verify, look up, decide, build, sign.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    Audience, ParticipantContext, PolicyStore, Scope, Signer, Subject, SubjectToken, SubjectVerifier,
    UpstreamError,
    claims::{Actor, Claims},
    jws::CompactJws,
    mapping::ClaimRules,
    merge::{ClaimConflict, MergedClaims},
    policy::{Denial, decide},
    store::Policy,
    subject::{Rejection, VerifyError},
    upstream::System,
};

/// A well-formed request. Scopes and audiences are in request order, each once.
#[derive(Debug, Clone)]
pub struct ExchangeRequest {
    /// The presented token.
    pub subject_token: SubjectToken,
    /// The participant context to act for.
    pub participant_context: ParticipantContext,
    /// The scopes to grant.
    pub scopes: Vec<Scope>,
    /// The audiences of the token; none asks for the default one.
    pub audiences: Vec<Audience>,
}

/// What every issued token has in common.
#[derive(Debug, Clone)]
pub struct TokenProfile {
    /// `iss` of issued tokens.
    pub issuer: String,
    /// `act.iss`: the cluster that vouches for the caller.
    pub cluster_issuer: String,
    /// The audience that a subject token must be bound to.
    pub client_audience: Audience,
    /// `aud` of a token for which none was requested.
    pub default_audience: Audience,
    /// How long a token lives, in seconds: 1 to 86,400.
    pub ttl_secs: u32,
    /// Which claims mean something special.
    pub claim_rules: ClaimRules,
}

/// An issued token.
#[derive(Debug)]
pub struct Issued {
    /// The signed token.
    pub token: CompactJws,
    /// Its `jti`.
    pub id: Uuid,
    /// How long it lives, in seconds.
    pub expires_in: u32,
    /// Who received it.
    pub subject: Subject,
    /// The granted scopes in request order.
    pub scopes: Vec<Scope>,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The subject token is not good.
    #[error("subject_token {0}")]
    Rejected(Rejection),
    /// The policy refuses.
    #[error("{denial}")]
    Denied {
        /// Who asked.
        subject: Subject,
        /// Which rule refused.
        denial: Denial,
    },
    /// The requested scopes contradict each other.
    #[error("{conflict}")]
    Conflict {
        /// Who asked.
        subject: Subject,
        /// Where they do.
        conflict: ClaimConflict,
    },
    /// A system that is needed failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl From<VerifyError> for ExchangeError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(rejection) => Self::Rejected(rejection),
            VerifyError::Upstream(error) => Self::Upstream(error),
        }
    }
}

/// The exchange over its three ports.
#[derive(Debug)]
pub struct Exchange<V, P, S> {
    verifier: V,
    store: P,
    signer: S,
    profile: TokenProfile,
}

impl<V: SubjectVerifier, P: PolicyStore, S: Signer> Exchange<V, P, S> {
    /// Joins the ports and the profile of issued tokens.
    pub fn new(verifier: V, store: P, signer: S, profile: TokenProfile) -> Self {
        Self { verifier, store, signer, profile }
    }

    /// The port that verifies callers.
    pub fn verifier(&self) -> &V {
        &self.verifier
    }

    /// The port that keeps the mappings.
    pub fn store(&self) -> &P {
        &self.store
    }

    /// The port that signs.
    pub fn signer(&self) -> &S {
        &self.signer
    }

    /// What every issued token has in common.
    pub fn profile(&self) -> &TokenProfile {
        &self.profile
    }

    /// Exchanges a subject token for an issued one with this `jti`.
    ///
    /// # Errors
    /// The caller's ([`ExchangeError::Rejected`], [`ExchangeError::Denied`], [`ExchangeError::Conflict`]) or ours
    /// ([`ExchangeError::Upstream`]). Nothing is signed unless everything else succeeded.
    pub async fn issue(
        &self,
        request: &ExchangeRequest,
        now: Timestamp,
        id: Uuid,
    ) -> Result<Issued, ExchangeError> {
        let profile = &self.profile;
        let subject = self.verifier.verify(&request.subject_token, &profile.client_audience, now).await?;
        let policy =
            self.store.policy(&subject.identity, &request.participant_context, &request.scopes).await?;
        let mapping = policy.as_ref().map(|policy| policy.mapping.as_ref());
        let grant = match decide(mapping, &request.scopes, &request.audiences, &profile.default_audience, now)
        {
            Ok(grant) => grant,
            Err(denial) => return Err(ExchangeError::Denied { subject, denial }),
        };
        let scope_claims = match merge_granted(&grant.scopes, policy.as_ref(), &profile.claim_rules) {
            Ok(claims) => claims,
            Err(conflict) => return Err(ExchangeError::Conflict { subject, conflict }),
        };
        let claims = Claims {
            issuer: &profile.issuer,
            participant_context: &request.participant_context,
            participant_context_claim: profile.claim_rules.participant_context_claim(),
            audiences: &grant.audiences,
            issued_at: now,
            ttl_secs: profile.ttl_secs,
            id,
            actor: Actor::new(&subject, &profile.cluster_issuer),
            scope_claims: &scope_claims,
        };
        let payload = claims.to_json().map_err(|cause| UpstreamError::misconfigured(System::Store, cause))?;
        let token = self.signer.sign(&payload, now).await?;
        Ok(Issued { token, id, expires_in: profile.ttl_secs, subject, scopes: grant.scopes })
    }
}

/// The claims of the granted scopes, merged in request order.
fn merge_granted<'a>(
    granted: &'a [Scope],
    policy: Option<&'a Policy>,
    rules: &ClaimRules,
) -> Result<MergedClaims<'a>, ClaimConflict> {
    let mappings = policy.map_or(&[][..], |policy| policy.scopes.as_slice());
    let in_order =
        granted.iter().filter_map(|scope| mappings.iter().find(|mapping| mapping.scope() == scope));
    MergedClaims::merge(in_order.map(AsRef::as_ref), rules)
}
