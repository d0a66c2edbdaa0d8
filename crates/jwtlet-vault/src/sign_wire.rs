//! The JSON of `transit/sign`: one message, or a batch of them.
//!
//! The messages are put into a body as they are encoded: nothing of base64 is escaped in JSON, and a general writer would
//! copy each message once more to look for it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jwtlet_core::jws::Algorithm;
use serde::{Deserialize, Serialize};

/// What else a request says. The options stand beside the batch and hold for all of it; inside of a message they would
/// be ignored. The hash is always in the body: in the path it would need a policy of its own.
#[derive(Serialize)]
struct Options {
    key_version: u32,
    marshaling_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt_length: Option<&'static str>,
}

impl Options {
    /// The parameters that make Vault produce what the JWS algorithm needs (RFC 7518 §3.3 to §3.5; RFC 8037 §3.1).
    fn new(algorithm: Algorithm, key_version: u32) -> Self {
        let (hash_algorithm, signature_algorithm, salt_length) = match algorithm {
            Algorithm::EdDSA => (None, None, None),
            Algorithm::ES256 => (Some("sha2-256"), None, None),
            Algorithm::ES384 => (Some("sha2-384"), None, None),
            Algorithm::ES512 => (Some("sha2-512"), None, None),
            Algorithm::RS256 => (Some("sha2-256"), Some("pkcs1v15"), None),
            Algorithm::PS256 => (Some("sha2-256"), Some("pss"), Some("hash")),
        };
        Self { key_version, marshaling_algorithm: "jws", hash_algorithm, signature_algorithm, salt_length }
    }
}

/// The body of a request for one signature. A batch with one message would do as well, but servers that lack batches know
/// this form only.
pub(crate) fn single(algorithm: Algorithm, key_version: u32, message: &[u8]) -> Bytes {
    let mut body = open(algorithm, key_version, message.len());
    push_text(&mut body, r#","input":""#, message);
    body.push('}');
    body.into()
}

/// The body of a request for several signatures. Each message has a reference of letters, digits and dots, which comes
/// back with the signature and tells which message it belongs to.
pub(crate) fn batch<'a>(
    algorithm: Algorithm,
    key_version: u32,
    messages: impl Iterator<Item = (&'a [u8], &'a str)> + Clone,
) -> Bytes {
    let mut body =
        open(algorithm, key_version, messages.clone().map(|(message, _)| message.len() + 48).sum());
    body.push_str(r#","batch_input":["#);
    let mut before = r#"{"input":""#;
    for (message, reference) in messages {
        push_text(&mut body, before, message);
        body.extend([r#","reference":""#, reference, r#""}"#]);
        before = r#",{"input":""#;
    }
    body.push_str("]}");
    body.into()
}

/// The options, without the end of their object, and room for messages of so many bytes.
fn open(algorithm: Algorithm, key_version: u32, message_bytes: usize) -> String {
    // Words and a number always serialise.
    let options = serde_json::to_string(&Options::new(algorithm, key_version)).unwrap_or_default();
    let mut body = String::with_capacity(options.len() + message_bytes * 4 / 3 + 64);
    body.push_str(options.trim_end_matches('}'));
    body
}

/// A text that holds a message as base64, after what comes before it and its first quote.
fn push_text(body: &mut String, before: &str, message: &[u8]) {
    body.push_str(before);
    STANDARD.encode_string(message, body);
    body.push('"');
}

/// The answer to a request for signatures.
#[derive(Deserialize)]
pub(crate) struct SignData {
    #[serde(default)]
    pub(crate) signature: Option<String>,
    #[serde(default)]
    pub(crate) batch_results: Option<Vec<BatchResult>>,
}

/// What became of one message of a batch.
#[derive(Deserialize)]
pub(crate) struct BatchResult {
    #[serde(default)]
    pub(crate) signature: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// Absent from old servers.
    #[serde(default)]
    pub(crate) reference: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(algorithm: Algorithm) -> Value {
        serde_json::from_slice(&single(algorithm, 3, b"a")).unwrap()
    }

    #[test]
    fn the_messages_of_a_batch_have_their_references_and_stand_beside_the_options() {
        let messages: [(&[u8], &str); 2] = [(b"a", "7.0"), (b"?>", "7.1")];
        let body = batch(Algorithm::EdDSA, 3, messages.into_iter());
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap(),
            concat!(
                r#"{"key_version":3,"marshaling_algorithm":"jws","batch_input":["#,
                r#"{"input":"YQ==","reference":"7.0"},{"input":"Pz4=","reference":"7.1"}]}"#
            )
        );
    }

    #[test]
    fn what_the_algorithm_needs_is_asked_for() {
        let parameters = |given: Value| {
            let mut all = json!({ "input": "YQ==", "key_version": 3, "marshaling_algorithm": "jws" });
            all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            all
        };
        for (algorithm, given) in [
            (Algorithm::EdDSA, json!({})),
            (Algorithm::ES256, json!({ "hash_algorithm": "sha2-256" })),
            (Algorithm::ES384, json!({ "hash_algorithm": "sha2-384" })),
            (Algorithm::ES512, json!({ "hash_algorithm": "sha2-512" })),
            (Algorithm::RS256, json!({ "hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15" })),
            // Without the length of the salt Vault takes the longest one, which no verifier of PS256 accepts.
            (
                Algorithm::PS256,
                json!({ "hash_algorithm": "sha2-256", "signature_algorithm": "pss", "salt_length": "hash" }),
            ),
        ] {
            assert_eq!(request(algorithm), parameters(given), "{algorithm:?}");
        }
    }
}
