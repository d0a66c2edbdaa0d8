//! Records as documents have them: without what the store knows about their lives.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::{
    Scope,
    apply::RecordKind,
    change::{Change, Precondition, RecordKey},
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    metadata::Metadata,
    name::Owner,
};

/// A kind of record that documents describe.
pub trait Document: Clone {
    /// What identifies a record.
    type Key: Clone + Ord;
    /// Its name in the JSON of plans and errors.
    const KIND: RecordKind;

    /// What identifies it.
    fn id(&self) -> &Self::Key;
    /// What identifies it among records of both kinds.
    fn record_key(key: &Self::Key) -> RecordKey;
    /// Its owner and its labels.
    fn metadata(&self) -> &Metadata;
    /// The same record with this owner.
    #[must_use]
    fn owned_by(self, owner: Owner) -> Self;
    /// Its members but those of its key, without those that are absent. Lists that are sets are sorted.
    fn fields(&self) -> Vec<(&'static str, Value)>;
    /// Creating it.
    fn create(self) -> Change;
    /// Putting it in the place of what is there.
    fn replace(self) -> Change;

    /// The whole document.
    fn document(&self) -> Value {
        let key = match Self::record_key(self.id()) {
            RecordKey::Mapping(key) => vec![
                ("clientIdentifier", text(&key.client_identifier)),
                ("participantContext", text(&key.participant_context)),
            ],
            RecordKey::Scope(scope) => vec![("scope", text(&scope))],
        };
        let members = key.into_iter().chain(self.fields()).map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect())
    }
}

impl Document for ResourceMapping {
    type Key = MappingKey;
    const KIND: RecordKind = RecordKind::ResourceMapping;

    fn id(&self) -> &MappingKey {
        self.key()
    }

    fn record_key(key: &MappingKey) -> RecordKey {
        RecordKey::Mapping(key.clone())
    }

    fn metadata(&self) -> &Metadata {
        self.metadata()
    }

    fn owned_by(self, owner: Owner) -> Self {
        let labels = self.metadata().labels.clone();
        self.with_metadata(Metadata { owner: Some(owner), labels })
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![("scopes", set(self.scopes())), ("audiences", set(self.audiences()))];
        fields.extend(self.expires_at().map(|time| ("expiresAt", text(&time))));
        fields.extend(self.description().map(|description| ("description", description.into())));
        fields.extend(noted(self.metadata()));
        fields
    }

    fn create(self) -> Change {
        Change::CreateMapping(self)
    }

    fn replace(self) -> Change {
        Change::ReplaceMapping(self, Precondition::None)
    }
}

impl Document for ScopeMapping {
    type Key = Scope;
    const KIND: RecordKind = RecordKind::ScopeMapping;

    fn id(&self) -> &Scope {
        self.scope()
    }

    fn record_key(scope: &Scope) -> RecordKey {
        RecordKey::Scope(scope.clone())
    }

    fn metadata(&self) -> &Metadata {
        self.metadata()
    }

    fn owned_by(self, owner: Owner) -> Self {
        let labels = self.metadata().labels.clone();
        self.with_metadata(Metadata { owner: Some(owner), labels })
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![("claims", Value::Object(self.claims().clone()))];
        fields.extend(noted(self.metadata()));
        fields
    }

    fn create(self) -> Change {
        Change::CreateScope(self)
    }

    fn replace(self) -> Change {
        Change::ReplaceScope(self, Precondition::None)
    }
}

impl RecordKey {
    /// Deleting the record, if it is there.
    pub(super) fn delete(self) -> Change {
        match self {
            Self::Mapping(key) => Change::DeleteMapping(key, Precondition::None),
            Self::Scope(scope) => Change::DeleteScope(scope, Precondition::None),
        }
    }
}

fn noted(metadata: &Metadata) -> impl Iterator<Item = (&'static str, Value)> {
    let owner = metadata.owner.iter().map(|owner| ("owner", text(owner)));
    let labels: Map<_, _> =
        metadata.labels.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    owner.chain((!labels.is_empty()).then_some(("labels", Value::Object(labels))))
}

fn text(value: &impl Display) -> Value {
    value.to_string().into()
}

fn set(names: &[impl Display + Ord]) -> Value {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_unstable();
    names.into_iter().map(text).collect()
}
