//! Checked names: the identifiers that requests, mappings and tokens are made of.
//!
//! A value of one of these types has passed its rule, so no later code checks again. Names are compared byte by byte:
//! nothing is folded, trimmed or normalised, because two spellings that look alike must never share a grant.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::schema::TextRule;

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
    /// The text is not the key of a label.
    #[error(
        "must be 1 to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit; before them may \
         be a DNS name in lower case of at most 253 characters, and '/'"
    )]
    NotLabelKey,
    /// The text is not the value of a label.
    #[error(
        "must be empty, or at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
    )]
    NotLabelValue,
    /// The text holds a character that is not visible ASCII.
    #[error("must be visible ASCII")]
    NotVisibleAscii,
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

/// The characters that [`is_unprintable`] lets pass, without these, as a class of a regular expression.
macro_rules! printable_but {
    ($others:literal) => {
        concat!(
            "[^",
            $others,
            r"\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
        )
    };
}

/// Texts of these characters that are neither `.` nor `..`; first the characters without the dot.
macro_rules! no_dot_segment {
    ($undotted:expr, $characters:expr) => {
        concat!(r"^(?:\.{0,2}", $undotted, $characters, r"*|\.{3}", $characters, "*)$")
    };
}

const PATH_NAME: TextRule =
    TextRule { min: 1, max: 512, pattern: no_dot_segment!(printable_but!("."), printable_but!("")) };
const SCOPE: TextRule =
    TextRule { min: 1, max: 256, pattern: no_dot_segment!(r"[!#-\-/-\[\]-~]", r"[!#-\[\]-~]") };
const AUDIENCE: TextRule = TextRule { min: 1, max: 1024, pattern: concat!("^", printable_but!(""), "+$") };
const OWNER: TextRule = TextRule { max: 256, ..AUDIENCE };
const APPLY_ID: TextRule = TextRule { min: 1, max: 128, pattern: "^[!-~]+$" };
const LABEL_KEY: TextRule = TextRule {
    min: 1,
    max: 253 + 1 + 63,
    pattern: r"^(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
};
const LABEL_VALUE: TextRule =
    TextRule { min: 0, max: 63, pattern: r"^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" };

fn check_path_name(text: &str) -> Result<(), NameError> {
    check_text(text, PATH_NAME.max)?;
    if text == "." || text == ".." { Err(NameError::DotSegment) } else { Ok(()) }
}

fn check_audience(text: &str) -> Result<(), NameError> {
    check_text(text, AUDIENCE.max)
}

fn check_scope(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > SCOPE.max {
        Err(NameError::TooLong(SCOPE.max))
    } else if text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        if text == "." || text == ".." { Err(NameError::DotSegment) } else { Ok(()) }
    } else {
        Err(NameError::NotScopeCharacter)
    }
}

fn check_owner(text: &str) -> Result<(), NameError> {
    check_text(text, OWNER.max)
}

fn check_apply_id(text: &str) -> Result<(), NameError> {
    check_text(text, APPLY_ID.max)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(NameError::NotVisibleAscii) }
}

/// The rule of Kubernetes for names in labels.
fn is_label_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    bytes.len() <= 63 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(is_inner)
}

/// A DNS subdomain (RFC 1123), as Kubernetes takes it.
fn is_subdomain(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(|c| is_end(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

fn check_label_key(text: &str) -> Result<(), NameError> {
    let is_key = match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label_name(name),
        None => is_label_name(text),
    };
    if is_key { Ok(()) } else { Err(NameError::NotLabelKey) }
}

fn check_label_value(text: &str) -> Result<(), NameError> {
    if text.is_empty() || is_label_name(text) { Ok(()) } else { Err(NameError::NotLabelValue) }
}

macro_rules! checked_name {
    ($(#[doc = $doc:literal])* $name:ident, $check:ident, $rule:ident) => {
        $(#[doc = $doc])*
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

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $rule.schema(concat!($($doc),*))
            }
        }

        impl ToSchema for $name {}

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
    ClientIdentifier, check_path_name, PATH_NAME
}

checked_name! {
    /// A participant context (tenant), the `resource` of a request and the `sub` of the issued token: 1 to 512 bytes
    /// without control characters.
    ParticipantContext, check_path_name, PATH_NAME
}

checked_name! {
    /// A scope token of RFC 6749 §3.3: 1 to 256 bytes of printable ASCII without space, `"` and `\`.
    Scope, check_scope, SCOPE
}

checked_name! {
    /// An audience of a token: 1 to 1024 bytes without control characters.
    Audience, check_audience, AUDIENCE
}

checked_name! {
    /// Who looks after a record: 1 to 256 bytes without control characters.
    Owner, check_owner, OWNER
}

checked_name! {
    /// The key of a label by the rule of Kubernetes: a name of 1 to 63 characters, or a DNS subdomain, `/` and such a name.
    LabelKey, check_label_key, LABEL_KEY
}

checked_name! {
    /// The value of a label by the rule of Kubernetes: at most 63 characters, also none.
    LabelValue, check_label_value, LABEL_VALUE
}

checked_name! {
    /// What the changes of one application of a policy have in common: 1 to 128 characters of visible ASCII.
    ApplyId, check_apply_id, APPLY_ID
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    type Parse = fn(&str) -> bool;

    /// Every rule with its parser.
    const RULES: [(TextRule, Parse); 7] = [
        (PATH_NAME, |text| ClientIdentifier::parse(text).is_ok()),
        (SCOPE, |text| Scope::parse(text).is_ok()),
        (AUDIENCE, |text| Audience::parse(text).is_ok()),
        (OWNER, |text| Owner::parse(text).is_ok()),
        (APPLY_ID, |text| ApplyId::parse(text).is_ok()),
        (LABEL_KEY, |text| LabelKey::parse(text).is_ok()),
        (LABEL_VALUE, |text| LabelValue::parse(text).is_ok()),
    ];

    static PATTERNS: LazyLock<[Regex; RULES.len()]> =
        LazyLock::new(|| RULES.map(|(rule, _)| Regex::new(rule.pattern).unwrap()));

    fn assert_agreement(text: &str) {
        for ((rule, parse), pattern) in RULES.into_iter().zip(&*PATTERNS) {
            let is_described = pattern.is_match(text) && (rule.min..=rule.max).contains(&text.len());
            assert_eq!(parse(text), is_described, "{text:?} and {}", rule.pattern);
        }
    }

    proptest! {
        #[test]
        fn descriptions_accept_what_parsers_accept(
            text in prop_oneof![".{0,6}", "[a-zA-Z0-9._/-]{0,70}", "[.!-~ \\PC\\pC]{0,6}"],
        ) {
            assert_agreement(&text);
        }
    }

    #[test]
    fn descriptions_know_the_borders_of_the_rules() {
        for c in '\0'..='\u{3000}' {
            for text in [format!("{c}"), format!("a{c}"), format!("..{c}"), format!("{c}/a")] {
                assert_agreement(&text);
            }
        }
        for text in ["", ".", "..", "...", "\u{feff}", "a/", "a..b/c", &"x".repeat(64), &"x".repeat(1025)] {
            assert_agreement(text);
        }
    }

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
    #[test]
    fn labels_follow_kubernetes() {
        for key in ["a", "App.Kubernetes_io-1", "example.com/tier", &format!("a/{}", "k".repeat(63))] {
            assert!(LabelKey::parse(key).is_ok(), "{key}");
        }
        let too_long = ["k".repeat(64), format!("{}/k", "p".repeat(254))];
        for key in
            ["", "-a", "a-", "a b", "/a", "a/", "A/b", "a_b/c", "a..b/c", "a/b/c", &too_long[0], &too_long[1]]
        {
            assert_eq!(LabelKey::parse(key), Err(NameError::NotLabelKey), "{key}");
        }
        for value in ["", "a", "1.2_3-4", &"v".repeat(63)] {
            assert!(LabelValue::parse(value).is_ok(), "{value}");
        }
        for value in ["-", "a ", "a=b", "\u{e4}", &"v".repeat(64)] {
            assert_eq!(LabelValue::parse(value), Err(NameError::NotLabelValue), "{value}");
        }
    }

    #[test]
    fn the_id_of_an_apply_is_visible_ascii() {
        assert!(ApplyId::parse("2027-01-15/deploy#7").is_ok());
        for text in ["a b", "\u{e4}"] {
            assert_eq!(ApplyId::parse(text), Err(NameError::NotVisibleAscii), "{text}");
        }
        assert_eq!(ApplyId::parse(&"x".repeat(129)), Err(NameError::TooLong(128)));
    }
}
