//! PostgreSQL (placeholder, replaced next).

use jwtlet_core::{
    ClientIdentifier, Scope,
    audit::{AuditFilter, AuditRecord, ChainHead, Sealed},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{MappingFilter, Page, Policy, Stored},
};

use crate::{
    cache::PolicyCache,
    database::{Database, Transaction},
    error::StoreError,
    health::StoreHealth,
};

mod settings;

pub use settings::{PostgresSettings, PostgresUrlError, SslMode, UnknownSslMode};

#[derive(Debug)]
pub(crate) struct Postgres;

impl Postgres {
    pub(crate) fn new(_: PostgresSettings) -> Self {
        Self
    }
}

impl Database for Postgres {
    type Transaction = PostgresTransaction;
    async fn begin(&self) -> Result<PostgresTransaction, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn policy(&self, _: &MappingKey) -> Result<Option<Policy>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn list_mappings(
        &self,
        _: &MappingFilter,
        _: &Page<MappingKey>,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn mapping(&self, _: &MappingKey) -> Result<Option<Stored<ResourceMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn list_scopes(&self, _: &Page<Scope>) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn scope(&self, _: &Scope) -> Result<Option<Stored<ScopeMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn audit(&self, _: &AuditFilter, _: &Page<u64>) -> Result<Vec<AuditRecord>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn chain(&self, _: &Page<u64>) -> Result<Vec<Sealed>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn chain_head(&self) -> Result<ChainHead, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn run(&self, _: &PolicyCache, _: &StoreHealth) {
        std::future::pending::<()>().await;
    }
}

#[derive(Debug)]
pub(crate) struct PostgresTransaction;

impl Transaction for PostgresTransaction {
    fn head(&self) -> ChainHead {
        ChainHead::EMPTY
    }
    async fn mappings(&mut self, _: &[MappingKey]) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn mappings_of(
        &mut self,
        _: &ClientIdentifier,
    ) -> Result<Vec<Stored<ResourceMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn scopes(&mut self, _: &[Scope]) -> Result<Vec<Stored<ScopeMapping>>, StoreError> {
        Err(StoreError::NotReady)
    }
    async fn put_mappings(&mut self, _: &[&Stored<ResourceMapping>]) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
    async fn remove_mappings(&mut self, _: &[&MappingKey]) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
    async fn put_scopes(&mut self, _: &[&Stored<ScopeMapping>]) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
    async fn remove_scopes(&mut self, _: &[&Scope]) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
    async fn append(&mut self, _: &[Sealed], _: ChainHead) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
    async fn commit(self) -> Result<(), StoreError> {
        Err(StoreError::NotReady)
    }
}
