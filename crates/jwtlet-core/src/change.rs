//! Changes to the policy, as they are asked for and as they end.

use jiff::Timestamp;

use crate::{
    ClientIdentifier, Scope, Subject, UpstreamError,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    name::ApplyId,
    store::Revision,
};

/// Who changes the policy, and in which request.
#[derive(Debug, Clone)]
pub struct Author {
    /// The verified caller.
    pub subject: Subject,
    /// The `X-Request-Id` of the request.
    pub request_id: String,
    /// The application of a policy that the request is, if it is one.
    pub apply_id: Option<ApplyId>,
    /// When it is made, in whole microseconds.
    pub at: Timestamp,
}

/// A condition on the state that a change finds (`If-Match`, RFC 9110 §13.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// None.
    #[default]
    None,
    /// The record exists, in whatever state.
    Exists,
    /// The record exists in one of these states.
    OneOf(Vec<Revision>),
}

impl Precondition {
    /// Whether the state that was found fulfils the condition.
    #[must_use]
    pub fn holds(&self, found: Option<Revision>) -> bool {
        match self {
            Self::None => true,
            Self::Exists => found.is_some(),
            Self::OneOf(revisions) => found.is_some_and(|found| revisions.contains(&found)),
        }
    }
}

/// One change to one record; [`Change::DeleteClient`] alone may concern several.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Creates a resource mapping whose key must be free.
    CreateMapping(ResourceMapping),
    /// Replaces the resource mapping of the same key, which must exist.
    ReplaceMapping(ResourceMapping, Precondition),
    /// Deletes a resource mapping, if it exists.
    DeleteMapping(MappingKey, Precondition),
    /// Deletes all resource mappings of a client, if there are any.
    DeleteClient(ClientIdentifier),
    /// Creates a scope mapping whose scope must be free.
    CreateScope(ScopeMapping),
    /// Replaces the scope mapping of the same scope, which must exist.
    ReplaceScope(ScopeMapping, Precondition),
    /// Deletes a scope mapping, if it exists.
    DeleteScope(Scope, Precondition),
}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The record is now in this state.
    Written(Revision),
    /// So many records are gone; 0 when there was none.
    Deleted(usize),
}

/// What identifies a record of either kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// Of a resource mapping.
    Mapping(MappingKey),
    /// Of a scope mapping.
    Scope(Scope),
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mapping(key) => {
                write!(f, "a mapping of {} for {}", key.client_identifier, key.participant_context)
            }
            Self::Scope(scope) => write!(f, "a scope mapping of {scope}"),
        }
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A record to be created exists, or is given twice.
    #[error("{0} exists already or is given twice")]
    Exists(RecordKey),
    /// A record to be replaced does not exist.
    #[error("there is not {0}")]
    Missing(RecordKey),
    /// The record is in another state than the caller expects.
    #[error("{0} is not in the state that If-Match names")]
    PreconditionFailed(RecordKey),
    /// The store failed. When its answer to the very last step was lost, the change may have been made.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}
