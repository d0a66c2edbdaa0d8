//! The JSON of mappings as it comes. As it goes, it is that of [`jwtlet_core::store::Stored`].

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, Scope,
    mapping::{
        ClaimRules, MAX_AUDIENCES, MAX_DESCRIPTION_BYTES, MAX_SCOPES, MappingError, MappingKey,
        RESERVED_CLAIMS, ResourceMapping, ScopeMapping,
    },
    metadata::{Labels, Metadata},
    name::Owner,
};
use serde::{Deserialize, de::IgnoredAny as Ignored};
use serde_json::{Map, Value, json};
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, Ref,
        extensions::Extensions,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

use super::{date_time, input::Input};
use crate::clock::whole_microseconds;

/// A resource mapping in a request. The read-only members of an answer may be sent back and are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ResourceMappingDocument, example = json!({
    "clientIdentifier": "system:serviceaccount:demo:connector",
    "participantContext": "acme",
    "scopes": ["read"],
    "owner": "team-a",
    "labels": {"tier": "read"},
}))]
pub(super) struct MappingInput {
    client_identifier: ClientIdentifier,
    participant_context: ParticipantContext,
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    #[schema(schema_with = audiences, required = false)]
    #[serde(default)]
    audiences: Vec<Audience>,
    /// From then on the mapping grants nothing and stays visible.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "date_time::deserialize")]
    expires_at: Option<Timestamp>,
    #[schema(schema_with = description, required = false)]
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "createdAt")]
    #[schema(schema_with = ignored)]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    #[schema(schema_with = ignored)]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    #[schema(schema_with = ignored)]
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

/// A list of names, by their schema.
fn names<T: ToSchema>(most: usize, about: &str) -> Schema {
    let items = Ref::from_schema_name(T::name());
    ArrayBuilder::new().items(items).max_items(Some(most)).description(Some(about)).build().into()
}

fn scopes() -> Schema {
    names::<Scope>(
        MAX_SCOPES,
        "The scopes that may be requested; none is allowed. Repeated ones are stored once.",
    )
}

fn audiences() -> Schema {
    names::<Audience>(
        MAX_AUDIENCES,
        "The audiences that may be requested; none allows the default audience only.",
    )
}

fn description() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .max_length(Some(MAX_DESCRIPTION_BYTES))
        .pattern(Some(r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"))
        .description(Some("A note for people, at most 1024 bytes."))
        .build()
        .into()
}

/// A read-only member, which may be sent back.
fn ignored() -> Schema {
    let about = "Of an answer; ignored in a request.";
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(about)).build().into()
}

fn claims() -> Schema {
    let reserved = Extensions::from_iter([("not", json!({"enum": RESERVED_CLAIMS}))]);
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^[^\u0000]*$"))
        .extensions(Some(reserved));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(Schema::from(name.build())))
        .description(Some(
            "The claims that a granted scope adds: at most 16 KiB of JSON, no character U+0000, no number beyond 64-bit \
             integers, no more than 30 levels, and not the claim named by `token.participant_context_claim`.",
        ))
        .build()
        .into()
}

/// A scope mapping in a request.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ScopeMappingDocument, example = json!({"scope": "read", "claims": {"role": "reader"}}))]
pub(super) struct ScopeInput {
    scope: Scope,
    #[schema(schema_with = claims)]
    claims: Map<String, Value>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "createdAt")]
    #[schema(schema_with = ignored)]
    _created_at: Ignored,
    #[serde(default, rename = "updatedAt")]
    #[schema(schema_with = ignored)]
    _updated_at: Ignored,
    #[serde(default, rename = "version")]
    #[schema(schema_with = ignored)]
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
