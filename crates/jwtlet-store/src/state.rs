//! What a store is doing, for whoever watches it.

/// How many records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicySize {
    /// Resource mappings.
    pub mappings: u64,
    /// Scope mappings.
    pub scopes: u64,
}

/// The connections to the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub busy: u64,
    /// Open and not in use.
    pub idle: u64,
    /// How many may be open.
    pub max: u64,
}

/// What remembered policy was good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyCacheUse {
    /// How many look-ups were answered from memory.
    pub hits: u64,
    /// How many were not.
    pub misses: u64,
    /// How many policies are remembered, roughly.
    pub entries: u64,
    /// How many bytes they take, roughly.
    pub bytes: u64,
}

/// A store at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreState {
    /// How many records there are, as of a minute ago at most; `None` until they were counted for the first time.
    pub size: Option<PolicySize>,
    /// The connections to the database; none before it was reached.
    pub connections: Connections,
    /// Whether changes of others are learnt of. While they are not, nothing that is remembered is used.
    pub feed_is_alive: bool,
    /// What remembered policy was good for.
    pub cache: PolicyCacheUse,
}
