//! From the status of a review to a subject: every condition that has to hold.

use jwtlet_core::{
    Audience, ClientIdentifier, Subject, service_account::ServiceAccount, subject::Rejection,
    subject_token::UnverifiedClaims,
};
use tracing::{info, warn};

use crate::review::{Status, User};

/// Takes the status of a review for what it is worth.
pub(crate) fn judge(
    status: Status,
    claims: &UnverifiedClaims,
    audience: &Audience,
    require_service_account: bool,
) -> Result<Subject, Rejection> {
    // Newer servers may set both; an error next to "authenticated" means that the answer cannot be relied on.
    if !status.authenticated || !status.error.is_empty() {
        info!(reason = ?without_claims(&status.error), "the cluster refuses a subject token");
        return Err(Rejection::Refused);
    }
    // An authenticator that knows nothing of audiences leaves this empty: the token is good for the API server only.
    if !status.audiences.iter().any(|confirmed| confirmed == audience.as_str()) {
        warn!(username = ?status.user.username, "the cluster authenticates a token without confirming the audience");
        return Err(Rejection::AudienceNotConfirmed(audience.clone()));
    }
    let User { username, uid, groups } = status.user;
    if require_service_account {
        check_service_account(&username, &groups, claims)?;
    }
    let identity = ClientIdentifier::parse(&username).map_err(|rule| {
        warn!(?username, %rule, "the cluster names a user whose name cannot be used");
        Rejection::Refused
    })?;
    Ok(Subject { identity, uid: (!uid.is_empty()).then_some(uid) })
}

/// The cluster's words up to the first bracket or quote: behind them it repeats claims of the token.
fn without_claims(error: &str) -> &str {
    let error = error.trim_start_matches('[');
    error.split(['[', '"']).next().unwrap_or_default().trim_end()
}

fn check_service_account(
    username: &str,
    groups: &[String],
    claims: &UnverifiedClaims,
) -> Result<(), Rejection> {
    let account: ServiceAccount = username.parse().map_err(|_| {
        warn!(?username, "the cluster authenticates a token of a user that is not a service account");
        Rejection::NotServiceAccount
    })?;
    let group = format!("system:serviceaccounts:{}", account.namespace());
    if !groups.contains(&group) {
        warn!(username, "the cluster names a service account outside the group of its namespace");
        return Err(Rejection::NotServiceAccount);
    }
    if claims.subject.as_deref() != Some(username) {
        warn!(username, "the cluster names another user than the token's sub");
        return Err(Rejection::Refused);
    }
    Ok(())
}
