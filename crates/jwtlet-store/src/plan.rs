//! What a list of changes makes of the records it finds: worked out in memory, between one read and one write.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jwtlet_core::{
    Scope,
    apply::Snapshot,
    audit::{Action, AuditEntry, AuditKey, Outcome},
    change::{Applied, Change, ChangeError, Precondition, RecordKey},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::Stored,
};
use serde::Serialize;

use crate::{database::Transaction, error::StoreError};

/// The records that a list of changes concerns, and what became of them so far.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    mappings: Table<ResourceMapping>,
    scopes: Table<ScopeMapping>,
    entries: Vec<AuditEntry>,
}

impl Plan {
    /// Reads what the changes concern.
    pub(crate) async fn load(
        transaction: &mut impl Transaction,
        changes: &[Change],
    ) -> Result<Self, StoreError> {
        let mut mappings = BTreeSet::new();
        let mut scopes = BTreeSet::new();
        let mut clients = BTreeSet::new();
        for change in changes {
            match change {
                Change::CreateMapping(mapping) | Change::ReplaceMapping(mapping, _) => {
                    mappings.insert(mapping.key().clone());
                }
                Change::DeleteMapping(key, _) => {
                    mappings.insert(key.clone());
                }
                Change::DeleteClient(client) => {
                    clients.insert(client);
                }
                Change::CreateScope(mapping) | Change::ReplaceScope(mapping, _) => {
                    scopes.insert(mapping.scope().clone());
                }
                Change::DeleteScope(scope, _) => {
                    scopes.insert(scope.clone());
                }
            }
        }
        let mut plan = Self::default();
        if !mappings.is_empty() {
            let keys: Vec<_> = mappings.into_iter().collect();
            plan.mappings.fill(transaction.mappings(&keys).await?);
        }
        for client in clients {
            plan.mappings.fill(transaction.mappings_of(client).await?);
        }
        if !scopes.is_empty() {
            let scopes: Vec<_> = scopes.into_iter().collect();
            plan.scopes.fill(transaction.scopes(&scopes).await?);
        }
        Ok(plan)
    }

    /// Of records that were read already.
    pub(crate) fn of(found: Snapshot) -> Self {
        let mut plan = Self::default();
        plan.mappings.fill(found.mappings);
        plan.scopes.fill(found.scopes);
        plan
    }

    /// Makes the next change.
    pub(crate) fn apply(&mut self, change: &Change, at: Timestamp) -> Result<Applied, ChangeError> {
        let Self { mappings, scopes, entries } = self;
        match change {
            Change::CreateMapping(mapping) => mappings.create(mapping, at, entries),
            Change::ReplaceMapping(mapping, condition) => mappings.replace(mapping, condition, at, entries),
            Change::DeleteMapping(key, condition) => mappings.delete(key, condition, entries),
            Change::DeleteClient(client) => {
                let of_client = |key: &&MappingKey| key.client_identifier == *client;
                let keys: Vec<_> = mappings.rows.keys().filter(of_client).cloned().collect();
                for key in &keys {
                    mappings.delete(key, &Precondition::None, entries)?;
                }
                Ok(Applied::Deleted(keys.len()))
            }
            Change::CreateScope(mapping) => scopes.create(mapping, at, entries),
            Change::ReplaceScope(mapping, condition) => scopes.replace(mapping, condition, at, entries),
            Change::DeleteScope(scope, condition) => scopes.delete(scope, condition, entries),
        }
    }

    /// Writes what became of the records. One that was deleted and created again is removed first: it is another record
    /// with the same key, not the next version of the old one.
    pub(crate) async fn write(&self, transaction: &mut impl Transaction) -> Result<(), StoreError> {
        if !self.mappings.removed.is_empty() {
            transaction.remove_mappings(&Vec::from_iter(&self.mappings.removed)).await?;
        }
        if !self.mappings.written.is_empty() {
            transaction.put_mappings(&self.mappings.to_write()).await?;
        }
        if !self.scopes.removed.is_empty() {
            transaction.remove_scopes(&Vec::from_iter(&self.scopes.removed)).await?;
        }
        if !self.scopes.written.is_empty() {
            transaction.put_scopes(&self.scopes.to_write()).await?;
        }
        Ok(())
    }

    /// What is to be recorded, in the order of the changes.
    pub(crate) fn take_entries(&mut self) -> Vec<AuditEntry> {
        std::mem::take(&mut self.entries)
    }

    /// Whether any scope mapping is another one now.
    pub(crate) fn changes_scopes(&self) -> bool {
        !self.scopes.written.is_empty() || !self.scopes.removed.is_empty()
    }

    /// The keys of all resource mappings that are others now.
    pub(crate) fn changed_mappings(&self) -> impl Iterator<Item = &MappingKey> {
        self.mappings.written.union(&self.mappings.removed)
    }
}

/// A kind of record.
trait Record: Clone {
    type Key: Clone + Ord;
    const CREATE: Action;
    const UPDATE: Action;
    const DELETE: Action;

    fn record_key(&self) -> &Self::Key;
    fn any_key(key: &Self::Key) -> RecordKey;
}

impl Record for ResourceMapping {
    type Key = MappingKey;
    const CREATE: Action = Action::CreateMapping;
    const UPDATE: Action = Action::UpdateMapping;
    const DELETE: Action = Action::DeleteMapping;

    fn record_key(&self) -> &MappingKey {
        self.key()
    }

    fn any_key(key: &MappingKey) -> RecordKey {
        RecordKey::Mapping(key.clone())
    }
}

impl Record for ScopeMapping {
    type Key = Scope;
    const CREATE: Action = Action::CreateScope;
    const UPDATE: Action = Action::UpdateScope;
    const DELETE: Action = Action::DeleteScope;

    fn record_key(&self) -> &Scope {
        self.scope()
    }

    fn any_key(scope: &Scope) -> RecordKey {
        RecordKey::Scope(scope.clone())
    }
}

/// The records of one kind that exist now, as far as the changes concern them.
#[derive(Debug)]
struct Table<R: Record> {
    rows: BTreeMap<R::Key, Stored<R>>,
    /// Those that are to be written, if they still exist at the end.
    written: BTreeSet<R::Key>,
    /// Those that were deleted, whether or not they were created again.
    removed: BTreeSet<R::Key>,
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), written: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<R: Record> Table<R>
where
    Stored<R>: Serialize,
{
    fn fill(&mut self, found: Vec<Stored<R>>) {
        self.rows.extend(found.into_iter().map(|stored| (stored.record.record_key().clone(), stored)));
    }

    fn create(
        &mut self,
        record: &R,
        at: Timestamp,
        entries: &mut Vec<AuditEntry>,
    ) -> Result<Applied, ChangeError> {
        let key = record.record_key();
        if self.rows.contains_key(key) {
            return Err(ChangeError::Exists(R::any_key(key)));
        }
        let stored = Stored { record: record.clone(), created_at: at, updated_at: at, version: 1 };
        self.put(R::CREATE, stored, entries)
    }

    fn replace(
        &mut self,
        record: &R,
        condition: &Precondition,
        at: Timestamp,
        entries: &mut Vec<AuditEntry>,
    ) -> Result<Applied, ChangeError> {
        let key = record.record_key();
        let Some(found) = self.rows.get(key) else {
            return Err(ChangeError::Missing(R::any_key(key)));
        };
        if !condition.holds(Some(found.revision())) {
            return Err(ChangeError::PreconditionFailed(R::any_key(key)));
        }
        let stored = Stored {
            record: record.clone(),
            created_at: found.created_at,
            updated_at: at,
            version: found.version.saturating_add(1),
        };
        self.put(R::UPDATE, stored, entries)
    }

    fn delete(
        &mut self,
        key: &R::Key,
        condition: &Precondition,
        entries: &mut Vec<AuditEntry>,
    ) -> Result<Applied, ChangeError> {
        if !condition.holds(self.rows.get(key).map(Stored::revision)) {
            return Err(ChangeError::PreconditionFailed(R::any_key(key)));
        }
        let Some(found) = self.rows.remove(key) else { return Ok(Applied::Deleted(0)) };
        entries.push(entry(R::DELETE, key, Some(&found), None)?);
        self.written.remove(key);
        self.removed.insert(key.clone());
        Ok(Applied::Deleted(1))
    }

    fn put(
        &mut self,
        action: Action,
        stored: Stored<R>,
        entries: &mut Vec<AuditEntry>,
    ) -> Result<Applied, ChangeError> {
        let key = stored.record.record_key().clone();
        entries.push(entry(action, &key, self.rows.get(&key), Some(&stored))?);
        let revision = stored.revision();
        self.written.insert(key.clone());
        self.rows.insert(key, stored);
        Ok(Applied::Written(revision))
    }

    fn to_write(&self) -> Vec<&Stored<R>> {
        self.written.iter().filter_map(|key| self.rows.get(key)).collect()
    }
}

fn entry<R: Record>(
    action: Action,
    key: &R::Key,
    before: Option<&Stored<R>>,
    after: Option<&Stored<R>>,
) -> Result<AuditEntry, ChangeError>
where
    Stored<R>: Serialize,
{
    let json = |stored: Option<&Stored<R>>| {
        stored
            .map(serde_json::to_value)
            .transpose()
            .map_err(|error| ChangeError::Upstream(StoreError::Json(error).into()))
    };
    Ok(AuditEntry {
        action,
        key: AuditKey::from(&R::any_key(key)),
        outcome: Outcome::Applied,
        reason: None,
        before: json(before)?,
        after: json(after)?,
    })
}
