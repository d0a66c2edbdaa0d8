//! What the fuzzer reads as this command does.

use serde_json::Value;

use crate::documents::Documents;

/// The body of an apply of the documents in a file of this text, and how many there are; `None` when one is refused.
#[must_use]
pub fn policy(text: &str) -> Option<(Value, usize)> {
    let documents = Documents::of_text(text).ok()?;
    // Whether there is one owner does not matter here, finding it must not fail.
    let _ = documents.owner();
    Some((documents.body(), documents.len()))
}
