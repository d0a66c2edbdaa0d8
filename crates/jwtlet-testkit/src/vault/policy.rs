//! What a token may do, and for how long.

use std::time::Duration;

/// The rights and the lifetime of a token. Without further settings it never expires and cannot be renewed.
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenPolicy {
    pub(super) grant: Grant,
    pub(super) ttl: Option<Duration>,
    pub(super) max_ttl: Option<Duration>,
    pub(super) period: Option<Duration>,
    pub(super) renewable: bool,
    pub(super) uses: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    Root,
    Nothing,
    Reader { key: String },
    Signer { key: String, create: bool },
}

/// What a request does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    List,
    Update,
    Delete,
}

impl TokenPolicy {
    /// Everything.
    pub fn root() -> Self {
        Self::new(Grant::Root)
    }

    /// Signing with this key and reading it; no creating, no rotating, no hash algorithm in the path.
    pub fn signer(key: impl Into<String>) -> Self {
        Self::new(Grant::Signer { key: key.into(), create: false })
    }

    /// Like [`TokenPolicy::signer`], and creating the key.
    pub fn signer_and_creator(key: impl Into<String>) -> Self {
        Self::new(Grant::Signer { key: key.into(), create: true })
    }

    /// Reading this key, and not signing with it.
    pub fn reader(key: impl Into<String>) -> Self {
        Self::new(Grant::Reader { key: key.into() })
    }

    /// Nothing but looking at itself and renewing itself.
    pub fn nothing() -> Self {
        Self::new(Grant::Nothing)
    }

    /// The token expires after this time.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Renewals end this long after the token was created.
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.max_ttl = Some(max_ttl);
        self
    }

    /// Every renewal makes the token live this long again, without end.
    pub fn period(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Whether the token may be renewed.
    pub fn renewable(mut self, renewable: bool) -> Self {
        self.renewable = renewable;
        self
    }

    /// The token dies after this many requests; 0 means no limit.
    pub fn num_uses(mut self, uses: u64) -> Self {
        self.uses = uses;
        self
    }

    fn new(grant: Grant) -> Self {
        Self { grant, ttl: None, max_ttl: None, period: None, renewable: false, uses: 0 }
    }

    pub(super) fn is_root(&self) -> bool {
        self.grant == Grant::Root
    }

    pub(super) fn names(&self) -> Vec<String> {
        match &self.grant {
            Grant::Root => vec!["root".to_owned()],
            Grant::Nothing => vec!["default".to_owned()],
            Grant::Reader { key } => vec!["default".to_owned(), format!("read-{key}")],
            Grant::Signer { key, .. } => vec!["default".to_owned(), format!("sign-{key}")],
        }
    }

    /// Whether the path (without namespace) is open to this operation, with transit mounted at `mount`.
    pub(super) fn allows(&self, operation: Operation, path: &str, mount: &str) -> bool {
        if let (Operation::Read, "auth/token/lookup-self")
        | (Operation::Update, "auth/token/renew-self" | "auth/token/revoke-self") = (operation, path)
        {
            return true;
        }
        let (key, sign, create) = match &self.grant {
            Grant::Root => return true,
            Grant::Nothing => return false,
            Grant::Reader { key } => (key, false, false),
            Grant::Signer { key, create } => (key, true, *create),
        };
        match operation {
            Operation::Update if path == format!("{mount}/sign/{key}") => sign,
            Operation::Update => create && path == format!("{mount}/keys/{key}"),
            Operation::Read => path == format!("{mount}/keys/{key}"),
            Operation::List | Operation::Delete => false,
        }
    }
}
