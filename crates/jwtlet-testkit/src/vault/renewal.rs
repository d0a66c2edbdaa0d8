//! `auth/token/renew-self`: how long a renewed token lives.

use jiff::SignedDuration;

use super::answer::{Answer, Refusal};
use super::params::Params;
use super::state::State;
use super::tokens::{Token, rounded, signed};
use crate::clock::now;
use crate::encoding::lock;

/// What Vault grants where nothing else is configured.
const SYSTEM_MAX_TTL: SignedDuration = SignedDuration::from_hours(768);

/// Extends the lease. A periodic token starts its period anew; any other gets what it asks for, up to the
/// maximum counted from its issue, so the leases shrink near the end.
pub(super) fn renew(state: &State, secret: &str, token: &Token, params: &Params) -> Result<Answer, Refusal> {
    let increment = params.seconds("increment")?.filter(|seconds| *seconds > 0);
    let Some(_) = token.expires.filter(|_| token.policy.renewable) else {
        return Err(Refusal::bad_request("lease is not renewable"));
    };
    if let Some(login) = &token.login
        && !lock(&state.roles).contains_key(&login.role)
    {
        return Err(Refusal::internal(format!("failed to find role {} during renewal", login.role)));
    }
    let now = now();
    let lease = if let Some(period) = token.policy.period {
        signed(period)
    } else {
        let end = token.issued + token.policy.max_ttl.map_or(SYSTEM_MAX_TTL, signed);
        let left = end.duration_since(now);
        if left <= SignedDuration::ZERO {
            return Err(Refusal::internal("past the max TTL, cannot renew"));
        }
        let asked = increment.map(SignedDuration::from_secs).or(token.policy.ttl.map(signed));
        asked.unwrap_or(SYSTEM_MAX_TTL).min(left)
    };
    state.tokens.extend(secret, now + lease);
    Ok(Answer::auth(token.auth(secret, rounded(lease))))
}
