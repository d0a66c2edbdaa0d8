//! Applying a policy: the changes that make what is wanted of what there is.
//!
//! Documents say how records should be. What is so already is left alone, so that applying twice changes nothing. A record
//! belongs to its owner: documents of another owner, or of none, do not touch it unless the caller takes it over. So the
//! policy of one team, kept in its repository, never overwrites what another team or a provisioning agent looks after.

mod document;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

pub use self::document::Document;
use crate::{
    Scope, UpstreamError,
    audit::{Action, AuditKey, Hash},
    change::{Change, RecordKey},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    name::Owner,
    schema::any,
    store::Stored,
};

/// The most documents of one apply, and the most records of one export.
pub const MAX_DOCUMENTS: usize = 20_000;
/// The most records of each kind that an owner may have for an apply that prunes.
pub const MAX_OWNED: usize = 40_000;

/// How records should be.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The resource mappings that should be there, with their owners.
    pub mappings: BTreeMap<MappingKey, ResourceMapping>,
    /// The scope mappings that should be there, with their owners.
    pub scopes: BTreeMap<Scope, ScopeMapping>,
    /// Other records of this owner should not be there.
    pub prune: Option<Owner>,
    /// Records of other owners, or of none, become those of the documents.
    pub take_over: bool,
}

/// What to do with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Only tell it.
    DryRun,
    /// Make its changes, all or none; with a digest only if the plan still has it.
    Perform {
        /// The [`ApplyPlan::digest`] of the plan that the caller has seen.
        expected: Option<Hash>,
    },
}

/// What an apply found and did, or would do.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The changes.
    pub plan: ApplyPlan,
    /// Its [`ApplyPlan::digest`].
    pub digest: Hash,
    /// The number of the last audit record when the plan was made.
    pub revision: u64,
}

/// The records of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Resource mappings, sorted by key.
    pub mappings: Vec<Stored<ResourceMapping>>,
    /// Scope mappings, sorted by scope.
    pub scopes: Vec<Stored<ScopeMapping>>,
}

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Records belong to others than the documents say.
    #[error("{} records belong to another owner", .0.len())]
    NotOwned(Vec<OwnerConflict>),
    /// The plan is not the one that the caller has seen.
    #[error("the policy has changed: the plan is not the one of this digest any more")]
    PlanDiffers,
    /// The owner has too many records to prune them.
    #[error("{0} has more than {MAX_OWNED} records of one kind: too many to prune")]
    TooManyOwned(Owner),
    /// The store failed. When its answer to the very last step was lost, the changes may have been made.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// A record that belongs to somebody else than its document says. Displays as a rule that follows the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {}, who owns the stored record, and not {}; takeOver takes the record over", named(.stored.as_ref()), named(.wanted.as_ref()))]
pub struct OwnerConflict {
    /// Which record.
    pub key: RecordKey,
    /// Whose it is.
    pub stored: Option<Owner>,
    /// Whose the document says it is.
    pub wanted: Option<Owner>,
}

fn named(owner: Option<&Owner>) -> &str {
    owner.map_or("nobody", Owner::as_str)
}

/// What happens to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlannedAction {
    /// It is created.
    Create,
    /// It is replaced by another state.
    Change,
    /// It is deleted.
    Delete,
}

/// A member of a record before and after; absent where there was or is none.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// Its value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = any, required = false)]
    pub before: Option<Value>,
    /// Its value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = any, required = false)]
    pub after: Option<Value>,
}

/// What happens to one record.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedChange {
    /// What.
    pub action: PlannedAction,
    /// To which record.
    pub key: RecordKey,
    /// The members that become others, by name.
    pub fields: BTreeMap<&'static str, FieldChange>,
}

impl PlannedChange {
    /// What the audit trail calls it.
    #[must_use]
    pub fn audit_action(&self) -> Action {
        match (&self.key, self.action) {
            (RecordKey::Mapping(_), PlannedAction::Create) => Action::CreateMapping,
            (RecordKey::Mapping(_), PlannedAction::Change) => Action::UpdateMapping,
            (RecordKey::Mapping(_), PlannedAction::Delete) => Action::DeleteMapping,
            (RecordKey::Scope(_), PlannedAction::Create) => Action::CreateScope,
            (RecordKey::Scope(_), PlannedAction::Change) => Action::UpdateScope,
            (RecordKey::Scope(_), PlannedAction::Delete) => Action::DeleteScope,
        }
    }
}

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RecordKind {
    /// A resource mapping.
    ResourceMapping,
    /// A scope mapping.
    ScopeMapping,
}

/// The kind of a record in the JSON of plans and errors.
#[must_use]
pub fn kind(key: &RecordKey) -> RecordKind {
    match key {
        RecordKey::Mapping(_) => ResourceMapping::KIND,
        RecordKey::Scope(_) => ScopeMapping::KIND,
    }
}

/// The JSON object of the management API.
#[derive(Serialize, ToSchema)]
#[schema(as = PlannedChange)]
struct PlannedChangeJson<'a> {
    action: PlannedAction,
    kind: RecordKind,
    key: AuditKey,
    /// The members that become others, by name.
    fields: &'a BTreeMap<&'static str, FieldChange>,
}

impl Serialize for PlannedChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (action, key, fields) = (self.action, AuditKey::from(&self.key), &self.fields);
        PlannedChangeJson { action, kind: kind(&self.key), key, fields }.serialize(serializer)
    }
}

impl PartialSchema for PlannedChange {
    fn schema() -> RefOr<Schema> {
        PlannedChangeJson::schema()
    }
}

impl ToSchema for PlannedChange {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        PlannedChangeJson::schemas(schemas);
    }
}

/// The changes of an apply, resource mappings first, each kind sorted by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplyPlan {
    /// The changes.
    pub changes: Vec<PlannedChange>,
    /// How many records are as they should be.
    pub unchanged: usize,
}

impl ApplyPlan {
    /// What tells this plan from every other: the SHA-256 of its changes. It covers what each change finds, so a plan that
    /// has the same digest later would overwrite nothing that was not seen.
    ///
    /// # Errors
    /// A value that JSON cannot express.
    pub fn digest(&self) -> Result<Hash, serde_json::Error> {
        Hash::of_json(&self.changes)
    }
}

impl Desired {
    /// Compares what is wanted with what there is: the records of the wanted keys, and those of the owner to prune.
    ///
    /// # Errors
    /// The records that belong to others, in the order of their keys, resource mappings first.
    pub fn plan(&self, found: Snapshot) -> Result<(ApplyPlan, Vec<Change>), Vec<OwnerConflict>> {
        let mut draft =
            Draft { desired: self, plan: ApplyPlan::default(), changes: vec![], conflicts: vec![] };
        draft.compare(&self.mappings, found.mappings);
        draft.compare(&self.scopes, found.scopes);
        let Draft { plan, changes, conflicts, .. } = draft;
        if conflicts.is_empty() { Ok((plan, changes)) } else { Err(conflicts) }
    }
}

struct Draft<'a> {
    desired: &'a Desired,
    plan: ApplyPlan,
    changes: Vec<Change>,
    conflicts: Vec<OwnerConflict>,
}

impl Draft<'_> {
    fn compare<D: Document>(&mut self, wanted: &BTreeMap<D::Key, D>, found: Vec<Stored<D>>) {
        let mut pairs: BTreeMap<D::Key, (Option<D>, Option<&D>)> = found
            .into_iter()
            .map(|stored| (stored.record.id().clone(), (Some(stored.record), None)))
            .collect();
        for (key, document) in wanted {
            pairs.entry(key.clone()).or_default().1 = Some(document);
        }
        for (key, pair) in pairs {
            match pair {
                (None, Some(new)) => self.push(PlannedAction::Create, D::record_key(&key), None, Some(new)),
                (Some(old), Some(new)) => self.meet(D::record_key(&key), &old, new),
                (Some(old), None) if self.is_pruned(&old) => {
                    self.push(PlannedAction::Delete, D::record_key(&key), Some(&old), None);
                }
                (_, None) => {}
            }
        }
    }

    fn is_pruned(&self, record: &impl Document) -> bool {
        self.desired.prune.is_some() && self.desired.prune == record.metadata().owner
    }

    fn meet<D: Document>(&mut self, key: RecordKey, old: &D, new: &D) {
        let (stored, wanted) = (&old.metadata().owner, &new.metadata().owner);
        if stored != wanted && !self.desired.take_over {
            self.conflicts.push(OwnerConflict { key, stored: stored.clone(), wanted: wanted.clone() });
        } else {
            self.push(PlannedAction::Change, key, Some(old), Some(new));
        }
    }

    /// A change that changes no member is none.
    fn push<D: Document>(&mut self, action: PlannedAction, key: RecordKey, old: Option<&D>, new: Option<&D>) {
        let fields = difference(old, new);
        let change = match (action, new) {
            (PlannedAction::Change, _) if fields.is_empty() => {
                self.plan.unchanged += 1;
                return;
            }
            (PlannedAction::Create, Some(new)) => new.clone().create(),
            (_, Some(new)) => new.clone().replace(),
            (_, None) => key.clone().delete(),
        };
        self.changes.push(change);
        self.plan.changes.push(PlannedChange { action, key, fields });
    }
}

fn difference<D: Document>(old: Option<&D>, new: Option<&D>) -> BTreeMap<&'static str, FieldChange> {
    let mut fields: BTreeMap<&'static str, FieldChange> = BTreeMap::new();
    for (name, value) in old.into_iter().flat_map(Document::fields) {
        fields.insert(name, FieldChange { before: Some(value), after: None });
    }
    for (name, value) in new.into_iter().flat_map(Document::fields) {
        let field = fields.entry(name).or_insert(FieldChange { before: None, after: None });
        field.after = Some(value);
    }
    fields.retain(|_, field| field.before != field.after);
    fields
}
