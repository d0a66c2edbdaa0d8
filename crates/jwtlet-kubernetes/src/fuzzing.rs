//! What the fuzz targets call: an answer of the API server, from its bytes to its verdict.

use http::{HeaderMap, StatusCode};
use jwtlet_core::{Audience, Subject, subject::Rejection, subject_token::UnverifiedClaims};
use jwtlet_upstream::Answer;

use crate::{review::ReviewAnswer, verdict::judge};

/// What an answer says about a token with these claims; `None` where it is no answer to a review.
#[must_use]
pub fn verdict(
    answer: &[u8],
    claims: &UnverifiedClaims,
    audience: &Audience,
    require_service_account: bool,
) -> Option<Result<Subject, Rejection>> {
    let answer = Answer::new(StatusCode::CREATED, HeaderMap::new(), answer.to_vec().into());
    let status = answer.json::<ReviewAnswer>().ok()?.status?;
    Some(judge(status, claims, audience, require_service_account))
}
