//! Whether a port can do its part right now, as its last real outcomes tell.

use std::borrow::Cow;

/// What a port reports to the readiness probe. Asking costs no call to the system behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The next call is expected to succeed.
    Ready,
    /// It is not, and this is why: a short text for operators, free of secrets.
    NotReady(Cow<'static, str>),
}
