//! One exchange from the presented token to the issued one: verify, look up, decide, build, sign.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    Audience, ParticipantContext, PolicyStore, Scope, Signer, Subject, SubjectToken, SubjectVerifier,
    UpstreamError,
    evaluation::{Refusal, Wanted, evaluate},
    jws::CompactJws,
    mapping::{ClaimRules, MappingKey},
    store::Freshness,
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
    pub claim_rules: Arc<ClaimRules>,
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
    pub scopes: Arc<[Scope]>,
}

/// A part of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The subject token is verified.
    Review,
    /// The policy is looked up and applied, and the claims are built.
    Policy,
    /// The claims are signed.
    Sign,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The subject token is not good.
    #[error("subject_token {0}")]
    Rejected(Rejection),
    /// The caller is known, and asks too often.
    #[error("more requests than one client may make")]
    Limited {
        /// Who asked.
        subject: Subject,
        /// When to come back, in seconds.
        retry_after: u64,
    },
    /// The policy refuses.
    #[error("{refusal}")]
    Refused {
        /// Who asked.
        subject: Subject,
        /// Which rule refused.
        refusal: Refusal,
    },
    /// A system that is needed failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl From<VerifyError> for ExchangeError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(rejection) => Self::Rejected(rejection),
            VerifyError::Limited { subject, retry_after } => Self::Limited { subject, retry_after },
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

    /// Exchanges a subject token for an issued one with this `jti`. Each stage is named when it has ended, whether or not it
    /// succeeded: there is no clock here, so whoever has one can tell how long it took.
    ///
    /// # Errors
    /// The caller's ([`ExchangeError::Rejected`], [`ExchangeError::Refused`]) or ours
    /// ([`ExchangeError::Upstream`]). Nothing is signed unless everything else succeeded.
    pub async fn issue(
        &self,
        request: &ExchangeRequest,
        now: Timestamp,
        id: Uuid,
        mut ended: impl FnMut(Stage) + Send,
    ) -> Result<Issued, ExchangeError> {
        let profile = &self.profile;
        let verified = self.verifier.verify(&request.subject_token, &profile.client_audience, now).await;
        ended(Stage::Review);
        let subject = verified?;
        let decided = self.decide(request, &subject, now, id).await;
        ended(Stage::Policy);
        let (payload, scopes) = match decided? {
            Ok(decided) => decided,
            Err(refusal) => return Err(ExchangeError::Refused { subject, refusal }),
        };
        let signed = self.signer.sign(payload.as_bytes(), now).await;
        ended(Stage::Sign);
        Ok(Issued { token: signed?, id, expires_in: profile.ttl_secs, subject, scopes })
    }

    /// The claims to sign and the granted scopes, or the rule that refuses.
    async fn decide(
        &self,
        request: &ExchangeRequest,
        subject: &Subject,
        now: Timestamp,
        id: Uuid,
    ) -> Result<Result<(String, Arc<[Scope]>), Refusal>, UpstreamError> {
        let profile = &self.profile;
        let key = MappingKey {
            client_identifier: subject.identity.clone(),
            participant_context: request.participant_context.clone(),
        };
        let mut freshness = Freshness::Recent;
        loop {
            let lookup = self.store.policy(&key, &request.scopes, freshness).await?;
            let wanted = Wanted { scopes: &request.scopes, audiences: &request.audiences };
            match evaluate(lookup.policy.as_deref(), &wanted, profile, now) {
                Ok(granted) => {
                    let claims = granted.claims(profile, &request.participant_context, subject, now, id);
                    let payload = claims
                        .to_json()
                        .map_err(|cause| UpstreamError::misconfigured(System::Store, cause))?;
                    return Ok(Ok((payload, granted.grant.scopes)));
                }
                // A remembered policy may grant but not refuse: what was just created counts at once.
                Err(_) if lookup.freshness == Freshness::Recent => freshness = Freshness::Current,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
    }
}
