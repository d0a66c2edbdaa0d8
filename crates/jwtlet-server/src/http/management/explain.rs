//! What an exchange would answer, and why: asked by people who look after the policy.

use std::{collections::HashSet, hash::Hash};

use axum::{
    Json,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, PolicyStore, Scope, Subject, UpstreamError,
    evaluation::Wanted,
    explain::{Explanation, Rule, Step, explain},
    mapping::{ClaimRules, MAX_AUDIENCES, MAX_SCOPES, MappingError, MappingKey},
    role::Role::Read,
    store::Freshness,
    upstream::System,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Schema, Type},
};
use uuid::Uuid;

use super::{
    access::Reader,
    input::{self, Input},
};
use crate::{
    clock,
    http::{
        error::{ErrorCode, OAuthError, Problem},
        openapi::{Answer, Operation, any_of, named},
    },
};

/// Which exchange.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ExplanationRequest)]
struct Question {
    client_identifier: ClientIdentifier,
    participant_context: ParticipantContext,
    /// At most 1000 different ones.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// At most 100 different ones.
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

/// The exchange would be granted.
#[derive(Serialize, ToSchema)]
#[schema(as = GrantedExplanation)]
struct GrantedAnswer<'a> {
    /// `true`.
    #[schema(schema_with = always_true)]
    granted: bool,
    scopes: &'a [Scope],
    audiences: &'a [Audience],
    /// The claims that the token would have; `jti` and `act.k8s_uid` are zeros.
    #[schema(value_type = Object)]
    claims: &'a RawValue,
    steps: &'a [Step],
}

/// The exchange would be refused.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedExplanation)]
struct RefusedAnswer<'a> {
    /// `false`.
    #[schema(schema_with = always_false)]
    granted: bool,
    rule: Rule,
    status: u16,
    error: ErrorCode,
    reason: String,
    steps: &'a [Step],
}

fn always_true() -> Schema {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build().into()
}

fn always_false() -> Schema {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build().into()
}

pub(super) fn describe() -> Operation {
    Operation::new("explain", "Policy", "Decides as an exchange would right now, and says why")
        .about("Nothing is verified, signed or issued.")
        .for_role(Read)
        .json("Which exchange.", named::<Question>)
        .answers(
            StatusCode::OK,
            Answer::json("What would be decided.", any_of::<GrantedAnswer<'_>, RefusedAnswer<'_>>),
        )
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
            let claims = claims
                .to_json()
                .and_then(RawValue::from_string)
                .map_err(|cause| UpstreamError::misconfigured(System::Store, cause))?;
            let (scopes, audiences) = (&granted.grant.scopes, &granted.grant.audiences);
            Json(GrantedAnswer { granted: true, scopes, audiences, claims: &claims, steps: &steps })
                .into_response()
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
