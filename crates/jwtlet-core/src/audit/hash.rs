//! Hashes of audit records.

use std::{fmt, io, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::schema::TextRule;

/// A SHA-256 hash; 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

/// The text is not 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits in lower case")]
pub struct NotAHash;

impl Hash {
    /// What the first record has for the hash of its predecessor: zeros.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of a record's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self::read(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// The hash of the JSON of a value, which is not held as a whole.
    pub(crate) fn of_json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut writer = Hashing(Context::new(&SHA256));
        serde_json::to_writer(&mut writer, value)?;
        Ok(Self::read(writer.0.finish().as_ref()))
    }

    fn read(digest: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest);
        Self(bytes)
    }
}

const RULE: TextRule = TextRule { min: 64, max: 64, pattern: "^[0-9a-f]{64}$" };

impl PartialSchema for Hash {
    fn schema() -> RefOr<Schema> {
        RULE.schema("A SHA-256 hash: 64 hexadecimal digits in lower case.")
    }
}

impl ToSchema for Hash {}

/// Takes what is written into a hash.
struct Hashing(Context);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.as_bytes();
        let is_hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 64 || !is_hex {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_round_trip_as_text() {
        let hash = Hash::of("text");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("0".repeat(63).parse::<Hash>(), Err(NotAHash));
        assert_eq!("G".repeat(64).parse::<Hash>(), Err(NotAHash));
        assert_eq!(Hash::of_json(&["a", "b"]).unwrap(), Hash::of(r#"["a","b"]"#));
        assert_eq!("A".repeat(64).parse::<Hash>(), Err(NotAHash));
    }
}
