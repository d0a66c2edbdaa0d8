//! Checked names: the identifiers that requests, mappings and tokens are made of.
//!
//! A value of one of these types has passed its rule, so no later code checks again. Names are compared byte by byte:
//! nothing is folded, trimmed or normalised, because two spellings that look alike must never share a grant.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

/// Why a text is not a name of the wanted kind. Displays as a rule that follows the name of a field:
/// "must not be empty".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than this many bytes.
    #[error("must be at most {0} bytes long")]
    TooLong(usize),
    /// The text holds a control character or one that is invisible or reverses the direction of text.
    #[error("must not contain control or invisible characters")]
    ControlCharacter,
    /// The text is `.` or `..`, which no URL path can carry (RFC 3986 §5.2.4).
    #[error("must not be '.' or '..'")]
    DotSegment,
    /// The text holds a character that RFC 6749 §3.3 forbids in a scope.
    #[error("must be printable ASCII without space, double quote and backslash")]
    NotScopeCharacter,
}

/// Control characters, and those that make two different names look the same in a log or a terminal.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn check_text(text: &str, max_bytes: usize) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > max_bytes {
        Err(NameError::TooLong(max_bytes))
    } else if text.chars().any(is_unprintable) {
        Err(NameError::ControlCharacter)
    } else {
        Ok(())
    }
}

fn check_path_name(text: &str) -> Result<(), NameError> {
    check_text(text, 512)?;
    if text == "." || text == ".." { Err(NameError::DotSegment) } else { Ok(()) }
}

fn check_audience(text: &str) -> Result<(), NameError> {
    check_text(text, 1024)
}

fn check_scope(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > 256 {
        Err(NameError::TooLong(256))
    } else if text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        if text == "." || text == ".." { Err(NameError::DotSegment) } else { Ok(()) }
    } else {
        Err(NameError::NotScopeCharacter)
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as a name.
            ///
            /// # Errors
            /// The rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

checked_name! {
    /// The identity of a client as the cluster states it, such as `system:serviceaccount:edc-v:connector`: 1 to 512
    /// bytes without control characters.
    ClientIdentifier, check_path_name
}

checked_name! {
    /// A participant context (tenant), the `resource` of a request and the `sub` of the issued token: 1 to 512 bytes
    /// without control characters.
    ParticipantContext, check_path_name
}

checked_name! {
    /// A scope token of RFC 6749 §3.3: 1 to 256 bytes of printable ASCII without space, `"` and `\`.
    Scope, check_scope
}

checked_name! {
    /// An audience of a token: 1 to 1024 bytes without control characters.
    Audience, check_audience
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_bytes() {
        for text in ["a", "system:serviceaccount:ns:name", "a/b", "ünïcode", &"x".repeat(512)] {
            assert_eq!(ParticipantContext::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_that_mislead_are_refused() {
        for (text, error) in [
            ("", NameError::Empty),
            ("a\0b", NameError::ControlCharacter),
            ("a\nb", NameError::ControlCharacter),
            ("zero\u{200b}width", NameError::ControlCharacter),
            ("right\u{202e}left", NameError::ControlCharacter),
            ("..", NameError::DotSegment),
            (&"x".repeat(513), NameError::TooLong(512)),
        ] {
            assert_eq!(ClientIdentifier::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn scopes_follow_rfc_6749() {
        assert!(Scope::parse("management-api:*:read/!#[]~").is_ok());
        assert!(Scope::parse(&"x".repeat(256)).is_ok());
        for text in ["a b", "a\"b", "a\\b", "ä", "a\u{7f}", "\t"] {
            assert_eq!(Scope::parse(text), Err(NameError::NotScopeCharacter), "{text:?}");
        }
        assert_eq!(Scope::parse(&"x".repeat(257)), Err(NameError::TooLong(256)));
    }

    #[test]
    fn audiences_may_be_twice_as_long_as_names() {
        assert!(Audience::parse(&"x".repeat(1024)).is_ok());
        assert_eq!(Audience::parse(&"x".repeat(1025)), Err(NameError::TooLong(1024)));
    }
}
