//! Roles of the management API.

use std::str::FromStr;

/// A role that the configuration grants to a service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `jwtlet:management:read`: every read.
    Read,
    /// `jwtlet:management:mappings:write`: changes to resource mappings, without reading them.
    WriteMappings,
    /// `jwtlet:management:scope:write`: changes to scope mappings, without reading them.
    WriteScopes,
    /// `management:write`: everything.
    WriteAll,
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of jwtlet:management:read, jwtlet:management:mappings:write, jwtlet:management:scope:write, \
     management:write"
)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "jwtlet:management:read" => Ok(Self::Read),
            "jwtlet:management:mappings:write" => Ok(Self::WriteMappings),
            "jwtlet:management:scope:write" => Ok(Self::WriteScopes),
            "management:write" => Ok(Self::WriteAll),
            _ => Err(UnknownRole),
        }
    }
}

impl Role {
    /// Whether the role permits what the wanted one stands for.
    #[must_use]
    pub fn includes(self, wanted: Role) -> bool {
        self == wanted || self == Self::WriteAll
    }

    /// The role's name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "jwtlet:management:read",
            Self::WriteMappings => "jwtlet:management:mappings:write",
            Self::WriteScopes => "jwtlet:management:scope:write",
            Self::WriteAll => "management:write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 4] = [Role::Read, Role::WriteMappings, Role::WriteScopes, Role::WriteAll];

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for role in ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("management:read".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn only_the_full_role_includes_another() {
        for role in ALL {
            for wanted in ALL {
                assert_eq!(role.includes(wanted), role == wanted || role == Role::WriteAll);
            }
        }
    }
}
