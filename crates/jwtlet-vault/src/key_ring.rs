//! The versions of the signing key, as one answer of Vault listed them.
//!
//! A ring never changes; a newer one replaces it whole. Header, public key and number of a version are made together
//! from one answer, so a `kid` cannot name another version than the one that signs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use jwtlet_core::{
    jwk::{Jwk, JwkSet},
    jws::{Algorithm, EncodedHeader},
};
use serde_json::Value;

use crate::{
    KeyName,
    public_key::{KeyKind, PublicKeyError, VerificationKey},
    rotation::{Candidate, signing_version},
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

const SUPPORTED: &str = "use a key of type ed25519, ecdsa-p256, rsa-2048, rsa-3072 or rsa-4096";

/// One version of the key, ready to sign with.
#[derive(Debug)]
pub(crate) struct KeyVersion {
    pub(crate) number: u32,
    pub(crate) algorithm: Algorithm,
    pub(crate) header: EncodedHeader,
    pub(crate) key: VerificationKey,
    created_at: Timestamp,
}

/// All versions that Vault lists.
#[derive(Debug)]
pub(crate) struct KeyRing {
    /// By number; never empty.
    versions: Vec<Arc<KeyVersion>>,
    minimum: u32,
    published: Arc<JwkSet>,
}

impl KeyRing {
    /// Reads Vault's answer; refuses a key whose signatures would be of no use.
    pub(crate) fn parse(name: &KeyName, data: KeyData) -> Result<Self, KeyRefusal> {
        let kind = check(&data)?;
        let mut versions = Vec::new();
        for (number, version) in data.keys.unwrap_or_default() {
            versions.push(parse_version(name, kind, number, version)?);
        }
        versions.sort_by_key(|(version, _)| version.number);
        let (versions, keys): (Vec<_>, Vec<_>) = versions.into_iter().unzip();
        let ring =
            Self { versions, minimum: data.min_encryption_version, published: Arc::new(JwkSet { keys }) };
        if ring.versions.is_empty() {
            return Err(KeyRefusal::NoVersions);
        }
        // The age of versions decides only among those that may sign at all.
        match ring.oldest() {
            Some(_) => Ok(ring),
            None => Err(KeyRefusal::NoneMaySign(ring.minimum)),
        }
    }

    /// The version that signs at this time.
    pub(crate) fn signing(&self, now: Timestamp, publish_before_sign: Duration) -> Option<&Arc<KeyVersion>> {
        let candidates = self
            .versions
            .iter()
            .map(|version| Candidate { version: version.number, created_at: version.created_at });
        let number = signing_version(candidates, self.minimum, now, publish_before_sign)?;
        self.versions.iter().find(|version| version.number == number)
    }

    /// The oldest version that may sign.
    pub(crate) fn oldest(&self) -> Option<&Arc<KeyVersion>> {
        self.versions.iter().find(|version| version.number >= self.minimum)
    }

    /// Everything that verifiers may need.
    pub(crate) fn published(&self) -> &Arc<JwkSet> {
        &self.published
    }

    /// Takes the key set of the ring before this one when it is the same, so that nobody sees a change where none is.
    pub(crate) fn succeed(&mut self, previous: &Self) {
        if self.published == previous.published {
            self.published = Arc::clone(&previous.published);
        }
    }

    /// The `kid` of a version whose public key is another one than in that ring: somebody deleted the key and made a
    /// new one of the same name.
    pub(crate) fn reused_kid(&self, previous: &Self) -> Option<&str> {
        let differs =
            |key: &&Jwk| previous.published.keys.iter().any(|old| old.kid() == key.kid() && old != *key);
        self.published.keys.iter().find(differs).map(Jwk::kid)
    }

    /// The number of the newest version.
    pub(crate) fn newest(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }
}

fn check(data: &KeyData) -> Result<KeyKind, KeyRefusal> {
    let Some(kind) = KeyKind::of_type(&data.kind) else {
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

fn parse_version(
    name: &KeyName,
    key_kind: KeyKind,
    number: String,
    version: Value,
) -> Result<(Arc<KeyVersion>, Jwk), KeyRefusal> {
    let Some(number) = number.parse().ok().filter(|number| *number > 0) else {
        return Err(KeyRefusal::VersionNumber(number));
    };
    let described: KeyVersionData =
        serde_json::from_value(version).map_err(|error| KeyRefusal::VersionForm(number, error))?;
    let verification = VerificationKey::parse(key_kind, &described.public_key)
        .map_err(|error| KeyRefusal::PublicKey(number, error))?;
    let kid = format!("{name}-{number}");
    let algorithm = key_kind.algorithm();
    let header = EncodedHeader::new(algorithm, &kid);
    let jwk = Jwk::new(kid, algorithm, verification.public().clone());
    Ok((
        Arc::new(KeyVersion {
            number,
            algorithm,
            header,
            key: verification,
            created_at: described.creation_time,
        }),
        jwk,
    ))
}
