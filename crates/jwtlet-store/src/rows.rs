//! Rows as both databases give them, and what they become.
//!
//! People write to the tables too. A row that breaks a rule of the program is left out and named in the log; it never
//! stops another row from being read, and nothing is made up in its place: a mapping whose end cannot be read grants
//! nothing, rather than for ever.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, Scope,
    audit::{Action, AuditRecord, ChainHead, Hash, Outcome, Sealed},
    change::RecordKey,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    metadata::{Labels, Metadata},
    name::{LabelKey, LabelValue, NameError, Owner},
    store::Stored,
};
use serde_json::{Map, Value};
use tracing::warn;

use crate::error::StoreError;

/// What the store knows about the life of a record; times in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
}

/// A row of `resource_mappings`.
#[derive(Debug)]
pub(crate) struct MappingRow {
    pub(crate) client_identifier: String,
    pub(crate) participant_context: String,
    /// An element that is no text is `None`.
    pub(crate) scopes: Vec<Option<String>>,
    /// An element that is no text is `None`.
    pub(crate) audiences: Vec<Option<String>>,
    /// Microseconds since 1970.
    pub(crate) expires_at: Option<i64>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: MetadataRow,
    pub(crate) life: Life,
}

/// The owner and the labels of a row of either table; none where they are not read.
#[derive(Debug, Default)]
pub(crate) struct MetadataRow {
    pub(crate) owner: Option<String>,
    /// A JSON object.
    pub(crate) labels: Option<String>,
}

/// A row of `scope_mappings`.
#[derive(Debug)]
pub(crate) struct ScopeRow {
    pub(crate) scope: String,
    /// A JSON object.
    pub(crate) claims: String,
    pub(crate) metadata: MetadataRow,
    pub(crate) life: Life,
}

/// Why a row is left out.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}: {1}")]
    Name(&'static str, NameError),
    #[error("audiences: none of them can be read")]
    Audiences,
    #[error("claims: must be a JSON object")]
    Claims(#[source] serde_json::Error),
    #[error("a time is out of range")]
    Time(#[from] jiff::Error),
}

impl MappingRow {
    /// The mapping, unless its key or a time cannot be read; without scopes and audiences that cannot.
    pub(crate) fn read(self) -> Option<Stored<ResourceMapping>> {
        let Self { client_identifier, participant_context, .. } = &self;
        let (client_identifier, participant_context) =
            (client_identifier.clone(), participant_context.clone());
        self.try_read()
            .inspect_err(|error| {
                warn!(client_identifier, participant_context, %error, "a resource mapping in the database is left out");
            })
            .ok()
    }

    fn try_read(self) -> Result<Stored<ResourceMapping>, Unreadable> {
        let key = MappingKey {
            client_identifier: ClientIdentifier::parse(&self.client_identifier)
                .map_err(|error| Unreadable::Name("client_identifier", error))?,
            participant_context: ParticipantContext::parse(&self.participant_context)
                .map_err(|error| Unreadable::Name("participant_context", error))?,
        };
        let scopes = names(&key, "scopes", &self.scopes, Scope::parse);
        let audiences = names(&key, "audiences", &self.audiences, Audience::parse);
        // No audience means the default one, which is more than such a row was meant to grant.
        if audiences.is_empty() && !self.audiences.is_empty() {
            return Err(Unreadable::Audiences);
        }
        let expires_at = self.expires_at.map(Timestamp::from_microsecond).transpose()?;
        let metadata = self.metadata.read(|| RecordKey::Mapping(key.clone()));
        let record = ResourceMapping::restore(key, scopes, audiences, expires_at, self.description);
        self.life.of(record.with_metadata(metadata))
    }
}

/// The names of a list that can be read.
fn names<T>(
    key: &MappingKey,
    column: &'static str,
    texts: &[Option<String>],
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Vec<T> {
    let read = |text: &Option<String>| match parse(text.as_deref().unwrap_or_default()) {
        Ok(name) => Some(name),
        Err(error) => {
            warn!(
                client_identifier = key.client_identifier.as_str(),
                participant_context = key.participant_context.as_str(),
                column,
                value = text.as_deref(),
                %error,
                "an element of a resource mapping in the database is left out"
            );
            None
        }
    };
    texts.iter().filter_map(read).collect()
}

impl ScopeRow {
    /// The scope mapping, unless its scope, claims or a time cannot be read.
    pub(crate) fn read(self) -> Option<Stored<ScopeMapping>> {
        let Self { scope, claims, metadata, life } = self;
        let read = || {
            let mapping = try_read_scope(&scope, &claims)?;
            let metadata = metadata.read(|| RecordKey::Scope(mapping.scope().clone()));
            life.of(mapping.with_metadata(metadata))
        };
        read().inspect_err(|error| leave_out_scope(&scope, error)).ok()
    }
}

impl MetadataRow {
    /// Of a record as it is written.
    pub(crate) fn of(metadata: &Metadata) -> Result<Self, StoreError> {
        let labels = &metadata.labels;
        Ok(Self {
            owner: metadata.owner.as_ref().map(ToString::to_string),
            labels: if labels.is_empty() { None } else { Some(serde_json::to_string(labels)?) },
        })
    }

    /// Without an owner and without labels that cannot be read. They decide on nothing, so the record stays.
    fn read(self, record: impl Fn() -> RecordKey) -> Metadata {
        let leave_out = |what: &'static str, error: &dyn std::fmt::Display| {
            warn!(record = %record(), what, %error, "a part of a record in the database is left out");
        };
        let owner = self
            .owner
            .and_then(|owner| Owner::parse(&owner).inspect_err(|error| leave_out("owner", error)).ok());
        let Some(json) = self.labels else { return Metadata { owner, labels: Labels::default() } };
        let all: Map<String, Value> =
            serde_json::from_str(&json).inspect_err(|error| leave_out("labels", error)).unwrap_or_default();
        let label = |(key, value): (String, Value)| -> Result<_, NameError> {
            let value = LabelValue::parse(value.as_str().ok_or(NameError::NotLabelValue)?)?;
            Ok((LabelKey::parse(&key)?, value))
        };
        let readable: BTreeMap<_, _> = all
            .into_iter()
            .filter_map(|member| label(member).inspect_err(|error| leave_out("a label", error)).ok())
            .collect();
        let labels = readable.try_into().inspect_err(|error| leave_out("labels", error)).unwrap_or_default();
        Metadata { owner, labels }
    }
}

/// A scope mapping without what the store knows about its life.
pub(crate) fn read_scope(scope: &str, claims: &str) -> Option<ScopeMapping> {
    try_read_scope(scope, claims).inspect_err(|error| leave_out_scope(scope, error)).ok()
}

fn try_read_scope(scope: &str, claims: &str) -> Result<ScopeMapping, Unreadable> {
    let scope = Scope::parse(scope).map_err(|error| Unreadable::Name("scope", error))?;
    let claims: Map<String, Value> = serde_json::from_str(claims).map_err(Unreadable::Claims)?;
    Ok(ScopeMapping::restore(scope, claims))
}

fn leave_out_scope(scope: &str, error: &Unreadable) {
    warn!(scope, %error, "a scope mapping in the database is left out");
}

impl Life {
    /// Of a record as it is written.
    pub(crate) fn from_stored<T>(stored: &Stored<T>) -> Self {
        Self {
            created_at: stored.created_at.as_microsecond(),
            updated_at: stored.updated_at.as_microsecond(),
            version: i64::try_from(stored.version).unwrap_or(i64::MAX),
        }
    }

    fn of<T>(self, record: T) -> Result<Stored<T>, Unreadable> {
        Ok(Stored {
            record,
            created_at: Timestamp::from_microsecond(self.created_at)?,
            updated_at: Timestamp::from_microsecond(self.updated_at)?,
            version: u64::try_from(self.version).unwrap_or_default(),
        })
    }
}

/// The columns of `audit_log` that filters look at; all of it is in the text too, and more exactly.
#[derive(Debug)]
pub(crate) struct AuditColumns {
    /// Microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) actor: String,
    pub(crate) request_id: String,
    pub(crate) apply_id: Option<String>,
    pub(crate) action: Action,
    pub(crate) outcome: Outcome,
    pub(crate) client_identifier: Option<String>,
    pub(crate) participant_context: Option<String>,
    pub(crate) scope: Option<String>,
}

impl AuditColumns {
    /// Of a record that is about to be appended.
    pub(crate) fn of(sealed: &Sealed) -> Result<Self, StoreError> {
        let record = sealed.open()?;
        Ok(Self {
            time: record.time.as_microsecond(),
            actor: record.actor.sub,
            request_id: record.request_id,
            apply_id: record.apply_id,
            action: record.action,
            outcome: record.outcome,
            client_identifier: record.key.client_identifier.filter(|text| is_name(text)),
            participant_context: record.key.participant_context.filter(|text| is_name(text)),
            scope: record.key.scope.filter(|text| is_name(text)),
        })
    }
}

/// The key of a refused attempt may be any text. One that cannot be a name is not looked for, and PostgreSQL could not keep
/// it in a column with an index: such a column takes no U+0000, and no more than some two kilobytes.
fn is_name(text: &str) -> bool {
    const LONGEST_NAME: usize = 512;
    text.len() <= LONGEST_NAME && !text.contains('\0')
}

/// A record of the chain as it is stored.
pub(crate) fn read_sealed(sequence: i64, record: String, hash: &str) -> Sealed {
    Sealed { sequence: from_sequence(sequence), text: record, hash: read_hash(hash) }
}

/// The record in a text, unless somebody made it unreadable.
pub(crate) fn read_audit(sequence: i64, record: &str) -> Option<AuditRecord> {
    serde_json::from_str(record)
        .inspect_err(|error| warn!(sequence, %error, "an audit record in the database is left out"))
        .ok()
}

/// The stored head of the chain.
pub(crate) fn read_head(sequence: i64, hash: &str) -> ChainHead {
    ChainHead { sequence: from_sequence(sequence), hash: read_hash(hash) }
}

/// A sequence number as the databases keep it.
pub(crate) fn to_sequence(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A limit as the databases take it.
pub(crate) fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// No sequence number is negative unless somebody made it so; a number that is not the next one breaks the chain there.
fn from_sequence(sequence: i64) -> u64 {
    u64::try_from(sequence).unwrap_or_default()
}

/// A text that is no hash becomes one that no record has, so that following the chain stops there.
fn read_hash(hash: &str) -> Hash {
    hash.parse().unwrap_or(Hash::GENESIS)
}
