//! Mappings in memory.
//!
//! One lock over both maps: a read sees mapping and claims of one moment, and a write is visible to the next read. The
//! lock is held for look-ups only, never across an `await`.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jiff::Timestamp;
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, PolicyStore, Scope, UpstreamError,
    health::Health,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::{CreateError, MappingFilter, Policy, Stored},
};

/// Keeps everything in memory. What it holds is lost when the process ends.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    mappings: BTreeMap<MappingKey, Stored<Arc<ResourceMapping>>>,
    scopes: BTreeMap<Scope, Stored<Arc<ScopeMapping>>>,
}

impl MemoryStore {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Inserts all records or none.
fn create<K: Ord + Clone, T>(
    table: &mut BTreeMap<K, Stored<Arc<T>>>,
    records: Vec<T>,
    key: impl Fn(&T) -> &K,
    now: Timestamp,
) -> Result<(), CreateError<K>> {
    let mut fresh = BTreeMap::new();
    for record in records {
        let key = key(&record).clone();
        let stored = Stored { record: Arc::new(record), created_at: now, updated_at: now, version: 1 };
        if table.contains_key(&key) || fresh.insert(key.clone(), stored).is_some() {
            return Err(CreateError::Exists(key));
        }
    }
    table.append(&mut fresh);
    Ok(())
}

/// Replaces a record that is there.
fn replace<K: Ord, T>(
    table: &mut BTreeMap<K, Stored<Arc<T>>>,
    key: &K,
    record: Arc<T>,
    now: Timestamp,
) -> bool {
    let Some(stored) = table.get_mut(key) else {
        return false;
    };
    stored.record = record;
    stored.updated_at = now;
    stored.version += 1;
    true
}

fn matches(mapping: &ResourceMapping, filter: &MappingFilter) -> bool {
    let key = mapping.key();
    filter.client_identifier.as_ref().is_none_or(|client| *client == key.client_identifier)
        && filter.participant_context.as_ref().is_none_or(|context| *context == key.participant_context)
        && filter.scope.as_ref().is_none_or(|scope| mapping.scopes().contains(scope))
}

impl PolicyStore for MemoryStore {
    async fn policy(
        &self,
        client: &ClientIdentifier,
        context: &ParticipantContext,
        scopes: &[Scope],
    ) -> Result<Option<Policy>, UpstreamError> {
        let key = MappingKey { client_identifier: client.clone(), participant_context: context.clone() };
        let tables = self.read();
        let Some(mapping) = tables.mappings.get(&key) else {
            return Ok(None);
        };
        let scopes = scopes.iter().filter_map(|scope| tables.scopes.get(scope));
        Ok(Some(Policy {
            mapping: Arc::clone(&mapping.record),
            scopes: scopes.map(|stored| Arc::clone(&stored.record)).collect(),
        }))
    }

    async fn list_mappings(
        &self,
        filter: &MappingFilter,
    ) -> Result<Vec<Stored<Arc<ResourceMapping>>>, UpstreamError> {
        Ok(self.read().mappings.values().filter(|stored| matches(&stored.record, filter)).cloned().collect())
    }

    async fn mapping(&self, key: &MappingKey) -> Result<Option<Stored<Arc<ResourceMapping>>>, UpstreamError> {
        Ok(self.read().mappings.get(key).cloned())
    }

    async fn create_mappings(
        &self,
        mappings: Vec<ResourceMapping>,
        now: Timestamp,
    ) -> Result<(), CreateError<MappingKey>> {
        create(&mut self.write().mappings, mappings, ResourceMapping::key, now)
    }

    async fn replace_mapping(&self, mapping: ResourceMapping, now: Timestamp) -> Result<bool, UpstreamError> {
        let mapping = Arc::new(mapping);
        Ok(replace(&mut self.write().mappings, mapping.key(), Arc::clone(&mapping), now))
    }

    async fn delete_mapping(&self, key: &MappingKey) -> Result<bool, UpstreamError> {
        Ok(self.write().mappings.remove(key).is_some())
    }

    async fn delete_client(&self, client: &ClientIdentifier) -> Result<usize, UpstreamError> {
        let mut tables = self.write();
        let before = tables.mappings.len();
        tables.mappings.retain(|key, _| key.client_identifier != *client);
        Ok(before - tables.mappings.len())
    }

    async fn list_scopes(
        &self,
        scope: Option<&Scope>,
    ) -> Result<Vec<Stored<Arc<ScopeMapping>>>, UpstreamError> {
        let tables = self.read();
        Ok(match scope {
            Some(scope) => tables.scopes.get(scope).cloned().into_iter().collect(),
            None => tables.scopes.values().cloned().collect(),
        })
    }

    async fn scope(&self, scope: &Scope) -> Result<Option<Stored<Arc<ScopeMapping>>>, UpstreamError> {
        Ok(self.read().scopes.get(scope).cloned())
    }

    async fn create_scopes(
        &self,
        scopes: Vec<ScopeMapping>,
        now: Timestamp,
    ) -> Result<(), CreateError<Scope>> {
        create(&mut self.write().scopes, scopes, ScopeMapping::scope, now)
    }

    async fn replace_scope(&self, scope: ScopeMapping, now: Timestamp) -> Result<bool, UpstreamError> {
        let scope = Arc::new(scope);
        Ok(replace(&mut self.write().scopes, scope.scope(), Arc::clone(&scope), now))
    }

    async fn delete_scope(&self, scope: &Scope) -> Result<bool, UpstreamError> {
        Ok(self.write().scopes.remove(scope).is_some())
    }

    fn health(&self) -> Health {
        Health::Ready
    }
}
