//! The JSON of mappings, as it comes and as it goes.

use std::sync::Arc;

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, Scope,
    mapping::{ClaimRules, MappingError, MappingKey, ResourceMapping, ScopeMapping},
    store::Stored,
};
use serde::{Deserialize, Serialize, de::IgnoredAny as Ignored};
use serde_json::{Map, Value};

use super::date_time;

/// A resource mapping in a request. The read-only members of an answer may be sent back and are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MappingInput {
    client_identifier: ClientIdentifier,
    participant_context: ParticipantContext,
    scopes: Vec<Scope>,
    #[serde(default)]
    audiences: Vec<Audience>,
    #[serde(default, deserialize_with = "date_time::deserialize")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "createdAt")]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    _version: Ignored,
}

impl MappingInput {
    pub(super) fn check(self) -> Result<ResourceMapping, MappingError> {
        let key = MappingKey {
            client_identifier: self.client_identifier,
            participant_context: self.participant_context,
        };
        ResourceMapping::new(key, self.scopes, self.audiences)?
            .with_expiry(self.expires_at)
            .with_description(self.description)
    }
}

/// A resource mapping in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MappingOutput<'a> {
    client_identifier: &'a ClientIdentifier,
    participant_context: &'a ParticipantContext,
    scopes: &'a [Scope],
    audiences: &'a [Audience],
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

impl<'a> From<&'a Stored<Arc<ResourceMapping>>> for MappingOutput<'a> {
    fn from(stored: &'a Stored<Arc<ResourceMapping>>) -> Self {
        let mapping = &stored.record;
        Self {
            client_identifier: &mapping.key().client_identifier,
            participant_context: &mapping.key().participant_context,
            scopes: mapping.scopes(),
            audiences: mapping.audiences(),
            expires_at: mapping.expires_at(),
            description: mapping.description(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            version: stored.version,
        }
    }
}

/// A scope mapping in a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScopeInput {
    scope: Scope,
    claims: Map<String, Value>,
    #[serde(default, rename = "createdAt")]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    _version: Ignored,
}

impl ScopeInput {
    pub(super) fn check(self, rules: &ClaimRules) -> Result<ScopeMapping, MappingError> {
        ScopeMapping::new(self.scope, self.claims, rules)
    }
}

/// A scope mapping in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScopeOutput<'a> {
    scope: &'a Scope,
    claims: &'a Map<String, Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

impl<'a> From<&'a Stored<Arc<ScopeMapping>>> for ScopeOutput<'a> {
    fn from(stored: &'a Stored<Arc<ScopeMapping>>) -> Self {
        Self {
            scope: stored.record.scope(),
            claims: stored.record.claims(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            version: stored.version,
        }
    }
}
