//! The port to whatever keeps the policy: resource mappings, scope mappings, and the trail of their changes.

mod policy;

use std::{borrow::Cow, future::Future, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    Audience, ClientIdentifier, ParticipantContext, Scope, UpstreamError,
    apply::{ApplyError, Desired, Execution, Outcome, Snapshot},
    audit::{AuditEntry, AuditFilter, AuditRecord, ChainHead, Sealed},
    change::{Applied, Author, Change, ChangeError},
    health::Health,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    metadata::{Labels, MetadataFilter},
    name::Owner,
    schema::time,
};

pub use self::policy::Policy;

/// A record with what the store knows about its life.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The record.
    pub record: T,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last replaced, or created.
    pub updated_at: Timestamp,
    /// 1 when created, one more with each replacement.
    pub version: u64,
}

impl<T> Stored<T> {
    /// What tells this state of the record from every other, also from that of a record which was deleted and created
    /// again under the same key.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { version: self.version, updated_at: self.updated_at }
    }
}

/// The JSON object of the management API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ResourceMapping)]
struct ResourceMappingJson<'a> {
    client_identifier: &'a ClientIdentifier,
    participant_context: &'a ParticipantContext,
    scopes: &'a [Scope],
    audiences: &'a [Audience],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = time)]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    owner: Option<&'a Owner>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    #[schema(required = false)]
    labels: &'a Labels,
    #[schema(schema_with = time)]
    created_at: Timestamp,
    #[schema(schema_with = time)]
    updated_at: Timestamp,
    /// 1 for a new record, one more with each replacement.
    #[schema(minimum = 1)]
    version: u64,
}

impl Serialize for Stored<ResourceMapping> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mapping = &self.record;
        let json = ResourceMappingJson {
            client_identifier: &mapping.key().client_identifier,
            participant_context: &mapping.key().participant_context,
            scopes: mapping.scopes(),
            audiences: mapping.audiences(),
            expires_at: mapping.expires_at(),
            description: mapping.description(),
            owner: mapping.metadata().owner.as_ref(),
            labels: &mapping.metadata().labels,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        };
        json.serialize(serializer)
    }
}

impl PartialSchema for Stored<ResourceMapping> {
    fn schema() -> RefOr<Schema> {
        ResourceMappingJson::schema()
    }
}

impl ToSchema for Stored<ResourceMapping> {
    fn name() -> Cow<'static, str> {
        ResourceMappingJson::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ResourceMappingJson::schemas(schemas);
    }
}

/// The JSON object of the management API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ScopeMapping)]
struct ScopeMappingJson<'a> {
    scope: &'a Scope,
    #[schema(value_type = Object)]
    claims: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    owner: Option<&'a Owner>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    #[schema(required = false)]
    labels: &'a Labels,
    #[schema(schema_with = time)]
    created_at: Timestamp,
    #[schema(schema_with = time)]
    updated_at: Timestamp,
    /// 1 for a new record, one more with each replacement.
    #[schema(minimum = 1)]
    version: u64,
}

impl Serialize for Stored<ScopeMapping> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = ScopeMappingJson {
            scope: self.record.scope(),
            claims: self.record.claims(),
            owner: self.record.metadata().owner.as_ref(),
            labels: &self.record.metadata().labels,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        };
        json.serialize(serializer)
    }
}

impl PartialSchema for Stored<ScopeMapping> {
    fn schema() -> RefOr<Schema> {
        ScopeMappingJson::schema()
    }
}

impl ToSchema for Stored<ScopeMapping> {
    fn name() -> Cow<'static, str> {
        ScopeMappingJson::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ScopeMappingJson::schemas(schemas);
    }
}

/// One state in the life of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The version of the record.
    pub version: u64,
    /// When it came to be, in whole microseconds.
    pub updated_at: Timestamp,
}

/// How old the policy of an exchange may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A remembered policy will do: at most a second behind a deletion or a narrowing.
    Recent,
    /// The store's own answer: it has every write that returned before, through whichever replica.
    Current,
}

/// The answer to a look-up.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The policy, if there is a mapping.
    pub policy: Option<Arc<Policy>>,
    /// How old it may be. That there is no mapping is only ever said as [`Freshness::Current`], and so is that a requested
    /// scope has no scope mapping.
    pub freshness: Freshness,
}

/// Which resource mappings to list; a field that is set must match.
#[derive(Debug, Clone, Default)]
pub struct MappingFilter {
    /// Of this client.
    pub client_identifier: Option<ClientIdentifier>,
    /// Of this participant context.
    pub participant_context: Option<ParticipantContext>,
    /// Granting this scope.
    pub scope: Option<Scope>,
    /// With this owner and these labels.
    pub metadata: MetadataFilter,
}

/// Which scope mappings to list; a field that is set must match.
#[derive(Debug, Clone, Default)]
pub struct ScopeFilter {
    /// Of this scope.
    pub scope: Option<Scope>,
    /// With this owner and these labels.
    pub metadata: MetadataFilter,
}

/// A part of a sorted list: what follows a key, so many at most.
#[derive(Debug, Clone)]
pub struct Page<K> {
    /// Only what sorts after this key; `None` starts at the beginning.
    pub after: Option<K>,
    /// At most so many.
    pub limit: usize,
}

impl<K> Page<K> {
    /// The first so many.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }
}

/// Keeps resource mappings, scope mappings, and a record of each change.
///
/// A write that returned is visible to the next read that asks for the current state, on every replica. Each write
/// happens wholly or not at all, together with its audit records. Lists are sorted by key, byte by byte. Times are whole
/// microseconds, given by the caller.
pub trait PolicyStore: Send + Sync + 'static {
    /// The policy for a client and a participant context, as of one moment. It holds the mappings of all scopes that are
    /// granted, among them those of the `requested` ones.
    fn policy(
        &self,
        key: &MappingKey,
        requested: &[Scope],
        freshness: Freshness,
    ) -> impl Future<Output = Result<Lookup, UpstreamError>> + Send;

    /// Makes all of these changes in their order, or none, and records each in the audit trail.
    fn change(
        &self,
        changes: Vec<Change>,
        author: &Author,
    ) -> impl Future<Output = Result<Vec<Applied>, ChangeError>> + Send;

    /// Makes what is there what is desired, all or nothing, and records each change in the audit trail. What is so already
    /// is not written.
    fn apply(
        &self,
        desired: Desired,
        execution: Execution,
        author: &Author,
    ) -> impl Future<Output = Result<Outcome, ApplyError>> + Send;

    /// So many at most of the records of each kind that match, all of one moment as far as this port changes them.
    fn snapshot(
        &self,
        filter: &MetadataFilter,
        limit: usize,
    ) -> impl Future<Output = Result<Snapshot, UpstreamError>> + Send;

    /// One page of the resource mappings that match.
    fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> impl Future<Output = Result<Vec<Stored<ResourceMapping>>, UpstreamError>> + Send;

    /// One resource mapping.
    fn mapping(
        &self,
        key: &MappingKey,
    ) -> impl Future<Output = Result<Option<Stored<ResourceMapping>>, UpstreamError>> + Send;

    /// One page of the scope mappings that match.
    fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> impl Future<Output = Result<Vec<Stored<ScopeMapping>>, UpstreamError>> + Send;

    /// One scope mapping.
    fn scope(
        &self,
        scope: &Scope,
    ) -> impl Future<Output = Result<Option<Stored<ScopeMapping>>, UpstreamError>> + Send;

    /// Records an attempt that changed nothing.
    fn record_refusal(
        &self,
        refusal: AuditEntry,
        author: &Author,
    ) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// One page of the audit records that match, the newest first: `after` is the sequence number to go back from.
    fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page<u64>,
    ) -> impl Future<Output = Result<Vec<AuditRecord>, UpstreamError>> + Send;

    /// One page of the chain as it is stored, the oldest first, for verification.
    fn chain(&self, page: &Page<u64>) -> impl Future<Output = Result<Vec<Sealed>, UpstreamError>> + Send;

    /// Where the chain ends, as the store remembers it apart from the records.
    fn chain_head(&self) -> impl Future<Output = Result<ChainHead, UpstreamError>> + Send;

    /// Whether the next call is expected to succeed.
    fn health(&self) -> Health;
}
