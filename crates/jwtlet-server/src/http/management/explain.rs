//! What an exchange would answer, and why: asked by people who look after the policy.

use std::{collections::HashSet, hash::Hash};

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, PolicyStore, Scope, Subject,
    claims::Claims,
    evaluation::Wanted,
    explain::{Explanation, Rule, Step, explain},
    mapping::{ClaimRules, MAX_AUDIENCES, MAX_SCOPES, MappingError, MappingKey},
    store::Freshness,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    access::Reader,
    input::{self, Input},
};
use crate::{
    clock,
    http::error::{ErrorCode, OAuthError, Problem},
};

/// Which exchange.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    client_identifier: ClientIdentifier,
    participant_context: ParticipantContext,
    #[serde(default)]
    scopes: Vec<Scope>,
    #[serde(default)]
    audiences: Vec<Audience>,
}

impl Input for Question {
    type Output = Self;
    const NOUN: &str = "a question";

    /// As at the token endpoint: what repeats counts once, and there are limits.
    fn check(mut self, _: &ClaimRules) -> Result<Self, MappingError> {
        once(&mut self.scopes);
        once(&mut self.audiences);
        if self.scopes.len() > MAX_SCOPES {
            return Err(MappingError::TooManyScopes(self.scopes.len()));
        }
        if self.audiences.len() > MAX_AUDIENCES {
            return Err(MappingError::TooManyAudiences(self.audiences.len()));
        }
        Ok(self)
    }
}

fn once<T: Clone + Eq + Hash>(list: &mut Vec<T>) {
    let mut seen = HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

#[derive(Serialize)]
struct GrantedAnswer<'a> {
    granted: bool,
    scopes: &'a [Scope],
    audiences: &'a [Audience],
    claims: Claims<'a>,
    steps: &'a [Step],
}

#[derive(Serialize)]
struct RefusedAnswer<'a> {
    granted: bool,
    rule: Rule,
    status: u16,
    error: ErrorCode,
    reason: String,
    steps: &'a [Step],
}

pub(super) async fn answer(Reader(call): Reader, body: Body) -> Result<Response, Problem> {
    let question = input::read_one::<Question>(&call.headers, body, call.claim_rules()).await?;
    let profile = call.service.exchange.profile();
    let key = MappingKey {
        client_identifier: question.client_identifier,
        participant_context: question.participant_context,
    };
    let lookup = call.store().policy(&key, &question.scopes, Freshness::Current).await?;
    let wanted = Wanted { scopes: &question.scopes, audiences: &question.audiences };
    let now = clock::now();
    let Explanation { outcome, steps } = explain(lookup.policy.as_deref(), &wanted, profile, now);
    Ok(match outcome {
        Ok(granted) => {
            // These two belong to a real exchange: its own id, and what the cluster says about the caller.
            let subject = Subject { identity: key.client_identifier, uid: Some(Uuid::nil().to_string()) };
            let claims = granted.claims(profile, &key.participant_context, &subject, now, Uuid::nil());
            let (scopes, audiences) = (&granted.grant.scopes, &granted.grant.audiences);
            Json(GrantedAnswer { granted: true, scopes, audiences, claims, steps: &steps }).into_response()
        }
        Err(refusal) => {
            let answer = OAuthError::from(&refusal);
            let refused = RefusedAnswer {
                granted: false,
                rule: Rule::from(&refusal),
                status: answer.status().as_u16(),
                error: answer.code(),
                reason: answer.description(),
                steps: &steps,
            };
            Json(refused).into_response()
        }
    })
}
