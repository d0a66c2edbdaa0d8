//! Which claims a scope mapping may define, and how some of them are merged.

use std::collections::BTreeSet;

/// The claims that jwtlet sets itself, and `cnf`, which would bind the token to a key (RFC 7800).
pub const RESERVED_CLAIMS: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "cnf"];

/// Which claims mean something special.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    participant_context_claim: String,
    space_delimited: BTreeSet<String>,
}

impl ClaimRules {
    /// The claim that repeats the participant context, and the claims whose texts are sets of words.
    ///
    /// # Errors
    /// A participant context claim that is reserved for another meaning, or empty.
    pub fn new(
        participant_context_claim: String,
        space_delimited: BTreeSet<String>,
    ) -> Result<Self, UnusableClaimName> {
        if participant_context_claim.is_empty()
            || RESERVED_CLAIMS.contains(&participant_context_claim.as_str())
        {
            return Err(UnusableClaimName);
        }
        Ok(Self { participant_context_claim, space_delimited })
    }

    /// The claim that repeats the participant context.
    #[must_use]
    pub fn participant_context_claim(&self) -> &str {
        &self.participant_context_claim
    }

    /// Whether only jwtlet itself sets this claim.
    #[must_use]
    pub fn is_reserved(&self, claim: &str) -> bool {
        claim == self.participant_context_claim || RESERVED_CLAIMS.contains(&claim)
    }

    /// Whether a text of this claim is a set of words.
    #[must_use]
    pub fn is_space_delimited(&self, claim: &str) -> bool {
        self.space_delimited.contains(claim)
    }
}

/// The name cannot be used for the participant context claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty or one of iss, sub, aud, exp, nbf, iat, jti, act, cnf")]
pub struct UnusableClaimName;
