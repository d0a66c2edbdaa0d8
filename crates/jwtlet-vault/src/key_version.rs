//! One version of the signing key, as Vault describes it.
//!
//! Header, public key and number of a version are made together from one description, so a `kid` cannot name another
//! version than the one that signs.

use jiff::Timestamp;
use jwtlet_core::{
    jwk::Jwk,
    jws::{Algorithm, EncodedHeader},
};
use serde_json::Value;

use crate::{
    KeyName,
    choices::RsaAlgorithm,
    public_key::{KeyKind, PublicKeyError, VerificationKey},
    rotation::Candidate,
    wire::{KeyData, KeyVersionData},
};

/// Why a transit key cannot sign JWTs here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRefusal {
    #[error("its type {0} is symmetric, it only encrypts; {SUPPORTED}")]
    Symmetric(String),
    #[error("its type hmac makes signatures that nobody but Vault can verify; {SUPPORTED}")]
    Hmac,
    #[error("its type external-key is not supported; {SUPPORTED}")]
    External,
    #[error("its type {0:?} is not supported; {SUPPORTED}")]
    Unsupported(String),
    #[error(
        "it is a derived key, each of whose contexts has a public key of its own; {SUPPORTED}, with derived=false"
    )]
    Derived,
    #[error("it is soft-deleted; restore it in Vault, or name another key in vault.key_name")]
    SoftDeleted,
    #[error("Vault says that it does not support signing; {SUPPORTED}")]
    NotSigning,
    #[error("Vault lists no version of it")]
    NoVersions,
    #[error("one of its versions has the number {0:?}")]
    VersionNumber(String),
    #[error("its version {0} is not described as the version of an asymmetric key")]
    VersionForm(u32, #[source] serde_json::Error),
    #[error("the public key of its version {0} cannot be used")]
    PublicKey(u32, #[source] PublicKeyError),
    #[error("its min_encryption_version {0} excludes every version")]
    NoneMaySign(u32),
}

const SUPPORTED: &str =
    "use a key of type ed25519, ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072 or rsa-4096";

/// One version of the key, ready to sign with and to publish.
#[derive(Debug)]
pub(crate) struct KeyVersion {
    pub(crate) number: u32,
    pub(crate) algorithm: Algorithm,
    pub(crate) header: EncodedHeader,
    pub(crate) key: VerificationKey,
    pub(crate) jwk: Jwk,
    created_at: Timestamp,
}

impl KeyVersion {
    /// Reads what Vault lists under this number.
    pub(crate) fn parse(
        name: &KeyName,
        kind: KeyKind,
        number: String,
        version: Value,
    ) -> Result<Self, KeyRefusal> {
        let Some(number) = number.parse().ok().filter(|number| *number > 0) else {
            return Err(KeyRefusal::VersionNumber(number));
        };
        let described: KeyVersionData =
            serde_json::from_value(version).map_err(|error| KeyRefusal::VersionForm(number, error))?;
        let key = VerificationKey::parse(kind, &described.public_key)
            .map_err(|error| KeyRefusal::PublicKey(number, error))?;
        let key_id = format!("{name}-{number}");
        let algorithm = kind.algorithm();
        Ok(Self {
            number,
            algorithm,
            header: EncodedHeader::new(algorithm, &key_id),
            jwk: Jwk::new(key_id, algorithm, key.public().clone()),
            key,
            created_at: described.creation_time,
        })
    }

    /// What the rules of rotation need to know of it.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate { version: self.number, created_at: self.created_at }
    }
}

/// The kind of a key, unless its signatures would be of no use.
pub(crate) fn usable_kind(data: &KeyData, rsa: RsaAlgorithm) -> Result<KeyKind, KeyRefusal> {
    let Some(kind) = KeyKind::of_type(&data.kind, rsa) else {
        return Err(match data.kind.as_str() {
            "hmac" => KeyRefusal::Hmac,
            "external-key" => KeyRefusal::External,
            "aes128-gcm96" | "aes256-gcm96" | "chacha20-poly1305" | "xchacha20-poly1305" => {
                KeyRefusal::Symmetric(data.kind.clone())
            }
            _ => KeyRefusal::Unsupported(data.kind.clone()),
        });
    };
    if data.derived {
        Err(KeyRefusal::Derived)
    } else if data.soft_deleted {
        Err(KeyRefusal::SoftDeleted)
    } else if data.supports_signing == Some(false) {
        Err(KeyRefusal::NotSigning)
    } else {
        Ok(kind)
    }
}
