//! The JSON of `transit/sign`: one message, or a batch of them.

use std::fmt;

use jwtlet_core::jws::Algorithm;
use serde::{Deserialize, Serialize};

/// What is to be signed. A batch with one message would do as well as the single form, but servers that lack batches
/// know the single form only.
#[derive(Serialize)]
pub(crate) enum Messages {
    /// One, as base64.
    #[serde(rename = "input")]
    One(String),
    /// Several.
    #[serde(rename = "batch_input")]
    Batch(Vec<Message>),
}

/// One message of a batch.
#[derive(Serialize)]
pub(crate) struct Message {
    /// The bytes to sign, as base64.
    pub(crate) input: String,
    /// Comes back with the signature, and tells which message it belongs to.
    pub(crate) reference: String,
}

/// A request for signatures. The options stand beside the batch and hold for all of it; inside of a message they would
/// be ignored. The hash is always in the body: in the path it would need a policy of its own.
#[derive(Serialize)]
pub(crate) struct SignRequest {
    #[serde(flatten)]
    messages: Messages,
    key_version: u32,
    marshaling_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt_length: Option<&'static str>,
}

impl SignRequest {
    /// The parameters that make Vault produce what the JWS algorithm needs (RFC 7518 §3.3 to §3.5; RFC 8037 §3.1).
    pub(crate) fn new(algorithm: Algorithm, key_version: u32, messages: Messages) -> Self {
        let (hash_algorithm, signature_algorithm, salt_length) = match algorithm {
            Algorithm::EdDSA => (None, None, None),
            Algorithm::ES256 => (Some("sha2-256"), None, None),
            Algorithm::ES384 => (Some("sha2-384"), None, None),
            Algorithm::ES512 => (Some("sha2-512"), None, None),
            Algorithm::RS256 => (Some("sha2-256"), Some("pkcs1v15"), None),
            Algorithm::PS256 => (Some("sha2-256"), Some("pss"), Some("hash")),
        };
        Self {
            messages,
            key_version,
            marshaling_algorithm: "jws",
            hash_algorithm,
            signature_algorithm,
            salt_length,
        }
    }
}

impl fmt::Debug for SignRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignRequest").field("key_version", &self.key_version).finish_non_exhaustive()
    }
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
        serde_json::to_value(SignRequest::new(algorithm, 3, Messages::One("YQ==".into()))).unwrap()
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
