//! What differs between databases: how rows are read, and how a transaction locks, reads and writes them.
//!
//! Everything that has a rule in it (which change is allowed, what it records, what may be remembered) is written once,
//! above this line. An implementation reads and writes rows in bulk, and nothing else.

use std::future::Future;

use jwtlet_core::{
    ClientIdentifier, Scope,
    audit::{AuditFilter, AuditRecord, ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{MappingFilter, Page, Policy, ScopeFilter, Stored},
};

use crate::{
    cache::PolicyCache,
    error::StoreError,
    health::StoreHealth,
    state::{Connections, PolicySize},
};

/// A database that keeps policy.
pub(crate) trait Database: Send + Sync + 'static {
    /// A transaction of this database.
    type Transaction: Transaction;

    /// Begins a transaction that writes. Writers are let in one by one, over all replicas, from here until they end: the
    /// head of the audit chain is locked. So nobody meets a state that another writer is about to change.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// The mapping with the scope mappings of all its scopes, read in one statement, without owners and labels.
    fn policy(&self, key: &MappingKey) -> impl Future<Output = Result<Option<Policy>, StoreError>> + Send;

    /// One page of the resource mappings that match, sorted by key, byte by byte.
    fn list_mappings(
        &self,
        filter: &MappingFilter,
        page: &Page<MappingKey>,
    ) -> impl Future<Output = Result<Vec<Stored<ResourceMapping>>, StoreError>> + Send;

    /// One resource mapping.
    fn mapping(
        &self,
        key: &MappingKey,
    ) -> impl Future<Output = Result<Option<Stored<ResourceMapping>>, StoreError>> + Send;

    /// One page of the scope mappings that match, sorted by scope.
    fn list_scopes(
        &self,
        filter: &ScopeFilter,
        page: &Page<Scope>,
    ) -> impl Future<Output = Result<Vec<Stored<ScopeMapping>>, StoreError>> + Send;

    /// One scope mapping.
    fn scope(
        &self,
        scope: &Scope,
    ) -> impl Future<Output = Result<Option<Stored<ScopeMapping>>, StoreError>> + Send;

    /// One page of the audit records that match, the newest first.
    fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page<u64>,
    ) -> impl Future<Output = Result<Vec<AuditRecord>, StoreError>> + Send;

    /// One page of the chain, the oldest first.
    fn chain(&self, page: &Page<u64>) -> impl Future<Output = Result<Vec<Sealed>, StoreError>> + Send;

    /// The stored head of the chain.
    fn chain_head(&self) -> impl Future<Output = Result<ChainHead, StoreError>> + Send;

    /// How many records there are.
    fn size(&self) -> impl Future<Output = Result<PolicySize, StoreError>> + Send;

    /// The connections that are open.
    fn connections(&self) -> Connections;

    /// Connects, brings the schema up to date, and then tells of the changes that others make; for ever. Each attempt
    /// shows in `health`. The cache is trusted only while it is certain that no change passes unseen.
    fn run(&self, cache: &PolicyCache, health: &StoreHealth) -> impl Future<Output = ()> + Send;
}

/// A transaction that writes. Dropped without [`Transaction::commit`] it leaves nothing behind.
pub(crate) trait Transaction: Send {
    /// The end of the audit chain, which no other transaction moves now.
    fn head(&self) -> ChainHead;

    /// Those of these resource mappings that exist, in any order.
    fn mappings(
        &mut self,
        keys: &[MappingKey],
    ) -> impl Future<Output = Result<Vec<Stored<ResourceMapping>>, StoreError>> + Send;

    /// All resource mappings of a client, sorted by key.
    fn mappings_of(
        &mut self,
        client: &ClientIdentifier,
    ) -> impl Future<Output = Result<Vec<Stored<ResourceMapping>>, StoreError>> + Send;

    /// Those of these scope mappings that exist, in any order.
    fn scopes(
        &mut self,
        scopes: &[Scope],
    ) -> impl Future<Output = Result<Vec<Stored<ScopeMapping>>, StoreError>> + Send;

    /// So many at most of the resource mappings that match, sorted by key.
    fn matching_mappings(
        &mut self,
        filter: &MappingFilter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored<ResourceMapping>>, StoreError>> + Send;

    /// So many at most of the scope mappings that match, sorted by scope.
    fn matching_scopes(
        &mut self,
        filter: &ScopeFilter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored<ScopeMapping>>, StoreError>> + Send;

    /// Writes resource mappings, each key once, whether or not they exist.
    fn put_mappings(
        &mut self,
        mappings: &[&Stored<ResourceMapping>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes resource mappings.
    fn remove_mappings(
        &mut self,
        keys: &[&MappingKey],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes scope mappings, each scope once, whether or not they exist.
    fn put_scopes(
        &mut self,
        scopes: &[&Stored<ScopeMapping>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes scope mappings.
    fn remove_scopes(&mut self, scopes: &[&Scope]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends these records, in their order, and moves the stored head to this one.
    fn append(
        &mut self,
        records: &[Sealed],
        head: ChainHead,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes everything durable and visible.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
