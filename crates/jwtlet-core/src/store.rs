//! The port to whatever keeps the mappings.

use std::{future::Future, sync::Arc};

use jiff::Timestamp;

use crate::{
    ClientIdentifier, ParticipantContext, Scope, UpstreamError,
    health::Health,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
};

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

/// What one exchange reads: a mapping and the claims of the requested scopes, all of one moment.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The mapping of the client and the participant context.
    pub mapping: Arc<ResourceMapping>,
    /// The mappings of those requested scopes that have one, in any order.
    pub scopes: Vec<Arc<ScopeMapping>>,
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
}

/// Why records were not created. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum CreateError<K> {
    /// A record with this key exists, or is given twice.
    #[error("the key exists already")]
    Exists(K),
    /// The store failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Keeps resource mappings and scope mappings.
///
/// A write that returned is visible to the next read. Each write happens wholly or not at all. Lists are sorted by key,
/// byte by byte. Times are whole microseconds, given by the caller.
pub trait PolicyStore: Send + Sync + 'static {
    /// The mapping of a client and a participant context, expired or not, with the claims of these scopes, as of one
    /// moment.
    fn policy(
        &self,
        client: &ClientIdentifier,
        context: &ParticipantContext,
        scopes: &[Scope],
    ) -> impl Future<Output = Result<Option<Policy>, UpstreamError>> + Send;

    /// The resource mappings that match.
    fn list_mappings(
        &self,
        filter: &MappingFilter,
    ) -> impl Future<Output = Result<Vec<Stored<Arc<ResourceMapping>>>, UpstreamError>> + Send;

    /// One resource mapping.
    fn mapping(
        &self,
        key: &MappingKey,
    ) -> impl Future<Output = Result<Option<Stored<Arc<ResourceMapping>>>, UpstreamError>> + Send;

    /// Creates all of these resource mappings, or none.
    fn create_mappings(
        &self,
        mappings: Vec<ResourceMapping>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), CreateError<MappingKey>>> + Send;

    /// Replaces the resource mapping of the same key; false when there is none.
    fn replace_mapping(
        &self,
        mapping: ResourceMapping,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, UpstreamError>> + Send;

    /// Deletes one resource mapping; false when there was none.
    fn delete_mapping(&self, key: &MappingKey) -> impl Future<Output = Result<bool, UpstreamError>> + Send;

    /// Deletes all resource mappings of a client and tells how many.
    fn delete_client(
        &self,
        client: &ClientIdentifier,
    ) -> impl Future<Output = Result<usize, UpstreamError>> + Send;

    /// The scope mappings: all, or the one of this scope.
    fn list_scopes(
        &self,
        scope: Option<&Scope>,
    ) -> impl Future<Output = Result<Vec<Stored<Arc<ScopeMapping>>>, UpstreamError>> + Send;

    /// One scope mapping.
    fn scope(
        &self,
        scope: &Scope,
    ) -> impl Future<Output = Result<Option<Stored<Arc<ScopeMapping>>>, UpstreamError>> + Send;

    /// Creates all of these scope mappings, or none.
    fn create_scopes(
        &self,
        scopes: Vec<ScopeMapping>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), CreateError<Scope>>> + Send;

    /// Replaces the scope mapping of the same scope; false when there is none.
    fn replace_scope(
        &self,
        scope: ScopeMapping,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, UpstreamError>> + Send;

    /// Deletes one scope mapping; false when there was none.
    fn delete_scope(&self, scope: &Scope) -> impl Future<Output = Result<bool, UpstreamError>> + Send;

    /// Whether the next call is expected to succeed.
    fn health(&self) -> Health;
}
