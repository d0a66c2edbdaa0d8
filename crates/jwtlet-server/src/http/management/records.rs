//! The JSON of mappings as it comes. As it goes, it is that of [`jwtlet_core::store::Stored`].

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, Scope,
    mapping::{ClaimRules, MappingError, MappingKey, ResourceMapping, ScopeMapping},
    metadata::{Labels, Metadata},
    name::Owner,
};
use serde::{Deserialize, de::IgnoredAny as Ignored};
use serde_json::{Map, Value};

use super::{date_time, input::Input};
use crate::clock::whole_microseconds;

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
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "createdAt")]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    _version: Ignored,
}

impl Input for MappingInput {
    type Output = ResourceMapping;
    const NOUN: &str = "a mapping";

    fn check(self, _: &ClaimRules) -> Result<ResourceMapping, MappingError> {
        let key = MappingKey {
            client_identifier: self.client_identifier,
            participant_context: self.participant_context,
        };
        ResourceMapping::new(key, self.scopes, self.audiences)?
            .with_expiry(self.expires_at.map(whole_microseconds))
            .with_metadata(Metadata { owner: self.owner, labels: self.labels })
            .with_description(self.description)
    }
}

/// A scope mapping in a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScopeInput {
    scope: Scope,
    claims: Map<String, Value>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "createdAt")]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    _version: Ignored,
}

impl Input for ScopeInput {
    type Output = ScopeMapping;
    const NOUN: &str = "a mapping";

    fn check(self, rules: &ClaimRules) -> Result<ScopeMapping, MappingError> {
        let metadata = Metadata { owner: self.owner, labels: self.labels };
        Ok(ScopeMapping::new(self.scope, self.claims, rules)?.with_metadata(metadata))
    }
}
