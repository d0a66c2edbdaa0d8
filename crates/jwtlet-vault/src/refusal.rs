//! What Vault wrote when it refused. It can hold anything, so it goes to the log only, shortened and escaped.

use std::{fmt, time::Duration};

use http::StatusCode;
use jwtlet_upstream::{Answer, retry_after};

use crate::wire::Errors;

/// As much of Vault's own texts as a log line needs, in characters.
const LONGEST_TEXT: usize = 500;

/// The least time that is waited when Vault says how long. OpenBao rounds down to whole seconds, so it says 0 as well.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What Vault said when it refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    texts: Vec<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn of(answer: &Answer) -> Self {
        let texts = answer.json::<Errors>().map(|body| body.errors).unwrap_or_default();
        Self {
            status: answer.status,
            texts,
            retry_after: retry_after(&answer.headers).map(|wait| wait.max(SHORTEST_WAIT)),
        }
    }

    /// Whether it is about the version of the key that was named, or about the key as a whole.
    pub(crate) fn is_about_version(&self) -> bool {
        self.texts.iter().any(|text| names_version(text))
    }

    /// Whether Vault is sealed.
    pub(crate) fn is_about_seal(&self) -> bool {
        self.texts.iter().any(|text| text.contains("sealed"))
    }

    /// Whether the request was too large: its body, or the number of things in its JSON.
    pub(crate) fn is_about_size(&self) -> bool {
        match self.status.as_u16() {
            413 => true,
            400 => self.texts.iter().any(|text| names_size(text)),
            _ => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status.as_u16())?;
        if self.texts.is_empty() {
            return Ok(());
        }
        f.write_str(", ")?;
        quote(f, &self.texts.join("; "))
    }
}

impl std::error::Error for Refusal {}

/// "no such key version", "requested version for signing is higher than the latest key version" or "is less than the
/// minimum encryption key version", "refusing to use soft-deleted key", "signing key not found".
fn names_version(text: &str) -> bool {
    ["version", "soft-deleted", "not found"].iter().any(|word| text.contains(word))
}

/// OpenBao's "refused JSON input due to high complexity: exceeded maximum number of strings", HashiCorp Vault's "JSON
/// array exceeds allowed element count" and the like. Neither has a status of its own.
fn names_size(text: &str) -> bool {
    text.contains("JSON") && (text.contains("exceed") || text.contains("complexity"))
}

/// What Vault said about one message of a batch.
#[derive(Debug)]
pub(crate) struct ItemRefusal(String);

impl ItemRefusal {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether it is about the version of the key that was named, or about the key as a whole.
    pub(crate) fn is_about_version(&self) -> bool {
        names_version(&self.0)
    }
}

impl fmt::Display for ItemRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote(f, &self.0)
    }
}

impl std::error::Error for ItemRefusal {}

/// Writes a text of Vault's as far as a log line needs it.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let end = text.char_indices().nth(LONGEST_TEXT).map_or(text.len(), |(index, _)| index);
    write!(f, "\"{}\"", text[..end].escape_debug())
}
