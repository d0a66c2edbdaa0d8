//! The audit trail: one record for each change and each refused attempt, chained by hashes.
//!
//! Each record holds the hash of its predecessor, and its own hash covers all of its text. Whoever alters, removes or
//! inserts a record in the middle breaks the chain at that place; whoever cuts its end is found by comparing with a head
//! that was noted elsewhere. The text is hashed exactly as it is stored, so nothing depends on how a database or a library
//! writes JSON.

mod chain;
mod hash;

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use self::{
    chain::{Broken, ChainHead, ChainVerifier, Sealed},
    hash::{Hash, NotAHash},
};
use crate::{ClientIdentifier, change::RecordKey, schema::time};

/// What was done or attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditAction)]
pub enum Action {
    /// A resource mapping is created.
    #[serde(rename = "mapping.create")]
    CreateMapping,
    /// A resource mapping is replaced.
    #[serde(rename = "mapping.update")]
    UpdateMapping,
    /// A resource mapping is deleted.
    #[serde(rename = "mapping.delete")]
    DeleteMapping,
    /// A scope mapping is created.
    #[serde(rename = "scope.create")]
    CreateScope,
    /// A scope mapping is replaced.
    #[serde(rename = "scope.update")]
    UpdateScope,
    /// A scope mapping is deleted.
    #[serde(rename = "scope.delete")]
    DeleteScope,
    /// A policy is applied, as an attempt that was refused as a whole: what is applied is recorded change by change.
    #[serde(rename = "policy.apply")]
    ApplyPolicy,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [
        Self::CreateMapping,
        Self::UpdateMapping,
        Self::DeleteMapping,
        Self::CreateScope,
        Self::UpdateScope,
        Self::DeleteScope,
        Self::ApplyPolicy,
    ];

    /// The name in records and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateMapping => "mapping.create",
            Self::UpdateMapping => "mapping.update",
            Self::DeleteMapping => "mapping.delete",
            Self::CreateScope => "scope.create",
            Self::UpdateScope => "scope.update",
            Self::DeleteScope => "scope.delete",
            Self::ApplyPolicy => "policy.apply",
        }
    }
}

/// The text names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of mapping.create, mapping.update, mapping.delete, scope.create, scope.update, scope.delete, policy.apply"
)]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.name() == text).ok_or(UnknownAction)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AuditOutcome)]
pub enum Outcome {
    /// The policy was changed.
    Applied,
    /// Nothing was changed.
    Refused,
}

impl Outcome {
    /// The name in records and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// Which record a change concerns, as far as that is known: the request of a refused attempt may not name it, or name a
/// client alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditKey {
    /// The client of a resource mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_identifier: Option<String>,
    /// The participant context of a resource mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub participant_context: Option<String>,
    /// The scope of a scope mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scope: Option<String>,
}

impl From<&RecordKey> for AuditKey {
    fn from(key: &RecordKey) -> Self {
        match key {
            RecordKey::Mapping(key) => Self {
                client_identifier: Some(key.client_identifier.to_string()),
                participant_context: Some(key.participant_context.to_string()),
                scope: None,
            },
            RecordKey::Scope(scope) => Self { scope: Some(scope.to_string()), ..Self::default() },
        }
    }
}

impl From<&ClientIdentifier> for AuditKey {
    fn from(client: &ClientIdentifier) -> Self {
        Self { client_identifier: Some(client.to_string()), ..Self::default() }
    }
}

/// What is to be recorded, before it has its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// What was done or attempted.
    pub action: Action,
    /// To which record.
    pub key: AuditKey,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused, in the words of the answer.
    pub reason: Option<String>,
    /// The record before, as the management API shows it.
    pub before: Option<Value>,
    /// The record after.
    pub after: Option<Value>,
}

/// The caller that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditActor {
    /// The identity as the cluster states it.
    pub sub: String,
    /// The cluster's unique id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub uid: Option<String>,
}

/// A record of the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Its place in the trail, counted from 1 without gaps.
    pub sequence: u64,
    /// When the change was made.
    #[schema(schema_with = time)]
    pub time: Timestamp,
    /// By whom.
    pub actor: AuditActor,
    /// In which request.
    pub request_id: String,
    /// In which application of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub apply_id: Option<String>,
    /// What was done or attempted.
    pub action: Action,
    /// To which record.
    pub key: AuditKey,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// The record before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub before: Option<Value>,
    /// The record after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub after: Option<Value>,
    /// The hash of the record before this one.
    pub previous_hash: Hash,
}

/// Which records to show; a field that is set must match.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this caller.
    pub actor: Option<String>,
    /// In this request.
    pub request_id: Option<String>,
    /// In this application of a policy.
    pub apply_id: Option<String>,
    /// Of this action.
    pub action: Option<Action>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// Concerning a resource mapping of this client.
    pub client_identifier: Option<String>,
    /// Concerning a resource mapping for this participant context.
    pub participant_context: Option<String>,
    /// Concerning the scope mapping of this scope.
    pub scope: Option<String>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_round_trip_as_text() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
        }
    }
}
