//! A policy applied to a request: what it grants, and the claims that result.
//!
//! The one place where this is decided. An exchange signs what comes out of it, an explanation shows it.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    Audience, ParticipantContext, Scope, Subject,
    claims::{Actor, Claims},
    exchange::TokenProfile,
    merge::ClaimConflict,
    policy::{Denial, Grant, decide},
    scope_claims::ScopeClaims,
    store::Policy,
};

/// What a request asks for, in request order.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The scopes.
    pub scopes: &'a [Scope],
    /// The audiences; none asks for the default one.
    pub audiences: &'a [Audience],
}

/// Why nothing is granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The mapping does not allow it.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The granted scopes contradict each other.
    #[error(transparent)]
    Conflict(#[from] ClaimConflict),
}

/// What is granted.
#[derive(Debug)]
pub struct Granted {
    /// Scopes and audiences.
    pub grant: Grant,
    /// The claims that the granted scopes add.
    pub scope_claims: Arc<ScopeClaims>,
}

impl Granted {
    /// The claims of the token.
    #[must_use]
    pub fn claims<'a>(
        &'a self,
        profile: &'a TokenProfile,
        participant_context: &'a ParticipantContext,
        subject: &'a Subject,
        now: Timestamp,
        id: Uuid,
    ) -> Claims<'a> {
        Claims {
            issuer: &profile.issuer,
            participant_context,
            participant_context_claim: profile.claim_rules.participant_context_claim(),
            audiences: &self.grant.audiences,
            issued_at: now,
            ttl_secs: profile.ttl_secs,
            id,
            actor: Actor::new(subject, &profile.cluster_issuer),
            scope_claims: &self.scope_claims,
        }
    }
}

/// Applies a policy, or the absence of one, to a request.
///
/// # Errors
/// The first rule that refuses, in the order: mapping, expiry, scopes, audience, claims.
pub fn evaluate(
    policy: Option<&Policy>,
    wanted: &Wanted<'_>,
    profile: &TokenProfile,
    now: Timestamp,
) -> Result<Granted, Refusal> {
    let policy = policy.ok_or(Denial::NoMapping)?;
    let grant = decide(policy, wanted.scopes, wanted.audiences, &profile.default_audience, now)?;
    let scope_claims = policy.scope_claims(&grant.scopes, &profile.claim_rules)?;
    Ok(Granted { grant, scope_claims })
}
