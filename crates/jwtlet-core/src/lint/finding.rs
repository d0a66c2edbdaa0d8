//! What a review of the policy finds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ClientIdentifier, ParticipantContext, Scope, mapping::MappingKey, schema::time};

/// What is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = FindingKind)]
pub enum Kind {
    /// A scope mapping in the store defines a claim that only jwtlet sets; it is never issued.
    ReservedClaim,
    /// A resource mapping expires soon.
    ExpiringMapping,
    /// A resource mapping has expired: it grants nothing.
    ExpiredMapping,
    /// Two scopes of one resource mapping define a claim differently: they can never be requested together.
    ConflictingScopes,
    /// A granted scope has no scope mapping: it adds no claim.
    UnmappedScope,
    /// No resource mapping has the scope of a scope mapping.
    UnusedScope,
    /// Two clients may act for one participant context with the same scopes.
    OverlappingClients,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What is written does not take effect.
    Error,
    /// A request fails or will fail, or gets less than it seems.
    Warning,
    /// Worth knowing.
    Info,
}

impl Kind {
    /// How much it matters.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::ReservedClaim => Severity::Error,
            Self::ExpiringMapping | Self::ExpiredMapping | Self::ConflictingScopes | Self::UnmappedScope => {
                Severity::Warning
            }
            Self::UnusedScope | Self::OverlappingClients => Severity::Info,
        }
    }
}

/// One thing that was found. The members after the message say where; those that do not apply are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// The same for people.
    pub message: String,
    /// The client of the resource mapping, or of the first one that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_identifier: Option<ClientIdentifier>,
    /// The other client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub other_client_identifier: Option<ClientIdentifier>,
    /// The participant context of that mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub participant_context: Option<ParticipantContext>,
    /// The scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scope: Option<Scope>,
    /// The other scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub other_scope: Option<Scope>,
    /// The first few of the scopes that are shared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub scopes: Vec<Scope>,
    /// The claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub claim: Option<String>,
    /// When the mapping expires or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = time)]
    pub expires_at: Option<Timestamp>,
    /// How many resource mappings are concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mappings: Option<usize>,
}

impl Finding {
    pub(super) fn new(kind: Kind, message: String) -> Self {
        Self {
            kind,
            severity: kind.severity(),
            message,
            client_identifier: None,
            other_client_identifier: None,
            participant_context: None,
            scope: None,
            other_scope: None,
            scopes: Vec::new(),
            claim: None,
            expires_at: None,
            mappings: None,
        }
    }

    pub(super) fn of_mapping(self, key: &MappingKey) -> Self {
        Self {
            client_identifier: Some(key.client_identifier.clone()),
            participant_context: Some(key.participant_context.clone()),
            ..self
        }
    }
}

/// What was found, ordered by kind and then by key.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Review)]
pub struct Report {
    /// The first findings, at most as many as were asked for.
    pub findings: Vec<Finding>,
    /// Whether there are more.
    pub truncated: bool,
}

/// The entries with the smallest keys, at most so many, and whether there were more.
#[derive(Debug)]
pub(super) struct Smallest<K, V> {
    pub(super) entries: BTreeMap<K, V>,
    limit: usize,
    pub(super) truncated: bool,
}

impl<K: Ord, V> Smallest<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), limit, truncated: false }
    }

    /// Adds an entry, or folds it into the one that is there. A key that was dropped once never comes back: the ones
    /// that are kept only get smaller.
    pub(super) fn add(&mut self, key: K, value: V, fold: impl FnOnce(&mut V, V)) {
        if let Some(present) = self.entries.get_mut(&key) {
            return fold(present, value);
        }
        self.entries.insert(key, value);
        if self.entries.len() > self.limit {
            self.entries.pop_last();
            self.truncated = true;
        }
    }
}
