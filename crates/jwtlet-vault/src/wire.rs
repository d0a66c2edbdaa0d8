//! The JSON of Vault's API, as far as jwtlet reads and writes it. Unknown members are ignored: every version adds some.

use std::collections::HashMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What every successful answer is wrapped in.
#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    /// The result of a call to an engine.
    pub(crate) data: Option<T>,
    /// The result of a login or renewal.
    pub(crate) auth: Option<Auth>,
    /// What Vault found odd about the request, an ignored parameter for example.
    #[serde(default)]
    pub(crate) warnings: Option<Vec<String>>,
}

/// A token with its lease. It has no `Debug`, because the token is in it.
#[derive(Deserialize)]
pub(crate) struct Auth {
    #[serde(deserialize_with = "secret")]
    pub(crate) client_token: SecretString,
    /// Seconds; 0 means without end.
    #[serde(default)]
    pub(crate) lease_duration: u32,
    #[serde(default)]
    pub(crate) renewable: bool,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// The body of a refusal.
#[derive(Deserialize)]
pub(crate) struct Errors {
    #[serde(default)]
    pub(crate) errors: Vec<String>,
}

/// A transit key as its read endpoint shows it.
#[derive(Deserialize)]
pub(crate) struct KeyData {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) derived: bool,
    #[serde(default)]
    pub(crate) soft_deleted: bool,
    #[serde(default)]
    pub(crate) supports_signing: Option<bool>,
    /// 0 means no minimum.
    #[serde(default)]
    pub(crate) min_encryption_version: u32,
    /// Versions below it are not listed.
    #[serde(default)]
    pub(crate) min_decryption_version: u32,
    /// By version number. What is behind a number depends on the type of the key, so it is read after the type was
    /// checked: an object for asymmetric types, a number for symmetric ones.
    #[serde(default)]
    pub(crate) keys: Option<HashMap<String, Value>>,
}

/// One version of an asymmetric key.
#[derive(Deserialize)]
pub(crate) struct KeyVersionData {
    pub(crate) public_key: String,
    pub(crate) creation_time: Timestamp,
}
