//! The two ports of jwtlet, and what differs between them for a caller.

use std::fmt;

/// Which API is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// Policy, audit trail, explanations.
    Management,
    /// Tokens and keys.
    Exchange,
}

impl Port {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Management => Self::Exchange,
            Self::Exchange => Self::Management,
        }
    }

    /// One word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Exchange => "exchange",
        }
    }

    /// The option with its address.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Management => "--server",
            Self::Exchange => "--exchange-server",
        }
    }

    /// The variable with its address.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Management => "JWTLET_SERVER",
            Self::Exchange => "JWTLET_EXCHANGE_SERVER",
        }
    }

    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Management => "http://localhost:8081",
            Self::Exchange => "http://localhost:8080",
        }
    }

    /// What people write after the address of the API although it is a part of its paths.
    pub(crate) fn superfluous_suffix(self) -> &'static str {
        match self {
            Self::Management => "/api/v1",
            Self::Exchange => "/token",
        }
    }

    /// The audience that a token for it is bound to, unless the server is configured otherwise.
    pub(crate) fn default_audience(self) -> &'static str {
        match self {
            Self::Management => "jwtlet-management",
            Self::Exchange => "jwtlet-exchange",
        }
    }

    /// Where a pod finds a token for it. The two ports want different audiences, hence two files.
    pub(crate) fn default_token_file(self) -> &'static str {
        match self {
            Self::Management => "/var/run/secrets/jwtlet/management-token",
            Self::Exchange => "/var/run/secrets/jwtlet/exchange-token",
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} API", self.name())
    }
}
