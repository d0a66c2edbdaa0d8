//! Failures of the systems that jwtlet depends on. They are never the caller's fault.

use std::{error::Error, fmt, time::Duration};

/// A cause of any kind, kept for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// One of the systems without which nothing can be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    /// The Kubernetes API server that reviews subject tokens.
    Kubernetes,
    /// HashiCorp Vault or OpenBao, which holds the signing key.
    Vault,
    /// The database of mappings.
    Store,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            System::Kubernetes => "Kubernetes",
            System::Vault => "Vault",
            System::Store => "the policy store",
        })
    }
}

/// A system could not do its part of an exchange.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Out of reach, too slow, sealed, overloaded or answering nonsense: the same request may succeed later.
    #[error("{system} cannot serve at the moment")]
    Unavailable {
        /// Which system.
        system: System,
        /// How long it asked to be left alone, if it did.
        retry_after: Option<Duration>,
        /// What happened, for the log only.
        #[source]
        cause: Cause,
    },
    /// It refuses jwtlet itself, or the signing key is missing: an operator has to act.
    #[error("{system} refuses jwtlet or is set up wrongly")]
    Misconfigured {
        /// Which system.
        system: System,
        /// What happened, for the log only.
        #[source]
        cause: Cause,
    },
}

impl UpstreamError {
    /// The system that failed.
    #[must_use]
    pub fn system(&self) -> System {
        match self {
            Self::Unavailable { system, .. } | Self::Misconfigured { system, .. } => *system,
        }
    }

    /// An outage without advice on when to come back.
    pub fn unavailable(system: System, cause: impl Into<Cause>) -> Self {
        Self::Unavailable { system, retry_after: None, cause: cause.into() }
    }

    /// A refusal that only an operator can mend.
    pub fn misconfigured(system: System, cause: impl Into<Cause>) -> Self {
        Self::Misconfigured { system, cause: cause.into() }
    }
}

/// An error and all its causes in one line, for a log.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_once() {
        let inner = std::io::Error::other("connection refused");
        let error = UpstreamError::unavailable(System::Vault, inner);
        assert_eq!(chain(&error), "Vault cannot serve at the moment: connection refused");
    }
}
