//! A named key: its settings and its versions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::material::Material;

/// The types of transit keys. The last two do not sign with `transit/sign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the names of the algorithms")]
pub enum KeyType {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    Aes256Gcm96,
    Hmac,
}

impl KeyType {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Ed25519, "ed25519"),
        (Self::EcdsaP256, "ecdsa-p256"),
        (Self::EcdsaP384, "ecdsa-p384"),
        (Self::EcdsaP521, "ecdsa-p521"),
        (Self::Rsa2048, "rsa-2048"),
        (Self::Rsa3072, "rsa-3072"),
        (Self::Rsa4096, "rsa-4096"),
        (Self::Aes256Gcm96, "aes256-gcm96"),
        (Self::Hmac, "hmac"),
    ];

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(key_type, _)| *key_type == self).map_or("", |(_, name)| name)
    }

    pub(super) fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    pub(super) fn signs(self) -> bool {
        !matches!(self, Self::Aes256Gcm96 | Self::Hmac)
    }

    fn encrypts(self) -> bool {
        self.is_rsa() || self == Self::Aes256Gcm96
    }

    pub(super) fn can_be_derived(self) -> bool {
        matches!(self, Self::Aes256Gcm96 | Self::Ed25519)
    }

    /// The name each version carries.
    fn version_name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "P-256",
            Self::EcdsaP384 => "P-384",
            Self::EcdsaP521 => "P-521",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no known key type.
#[derive(Debug, thiserror::Error)]
#[error("unknown key type")]
pub struct UnknownKeyType;

impl FromStr for KeyType {
    type Err = UnknownKeyType;

    fn from_str(text: &str) -> Result<Self, UnknownKeyType> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(key_type, _)| *key_type).ok_or(UnknownKeyType)
    }
}

/// One version. The material is shared, so that a signature needs no lock.
#[derive(Clone)]
pub(in crate::vault) struct Version {
    pub(super) material: Arc<Material>,
    pub(super) created: Timestamp,
}

/// A key as it is at one moment; changes make a new one.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the API shows each of them as a switch of its own")]
pub(in crate::vault) struct TransitKey {
    pub(super) name: String,
    pub(super) key_type: KeyType,
    pub(super) derived: bool,
    pub(super) deletion_allowed: bool,
    pub(super) exportable: bool,
    pub(super) allow_plaintext_backup: bool,
    pub(super) auto_rotate_period: i64,
    pub(super) min_available: u64,
    pub(in crate::vault) min_decryption: u64,
    pub(in crate::vault) min_encryption: u64,
    pub(in crate::vault) soft_deleted: bool,
    pub(super) versions: BTreeMap<u64, Version>,
}

impl TransitKey {
    pub(super) fn new(name: &str, key_type: KeyType, derived: bool, first: Version) -> Self {
        Self {
            name: name.to_owned(),
            key_type,
            derived,
            deletion_allowed: false,
            exportable: false,
            allow_plaintext_backup: false,
            auto_rotate_period: 0,
            min_available: 0,
            min_decryption: 1,
            min_encryption: 0,
            soft_deleted: false,
            versions: BTreeMap::from([(1, first)]),
        }
    }

    /// The number of the newest version.
    pub(in crate::vault) fn latest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or_default()
    }

    /// The versions in use; older ones are archived and not shown.
    pub(super) fn active(&self) -> impl Iterator<Item = (&u64, &Version)> {
        self.versions.range(self.min_decryption..)
    }

    /// The `data` of a read. Derived keys show public keys only for a context.
    pub(super) fn describe(&self, context: Option<&[u8]>) -> Value {
        let mut data = json!({
            "name": self.name,
            "type": self.key_type.as_str(),
            "derived": self.derived,
            "deletion_allowed": self.deletion_allowed,
            "min_available_version": self.min_available,
            "min_decryption_version": self.min_decryption,
            "min_encryption_version": self.min_encryption,
            "latest_version": self.latest(),
            "exportable": self.exportable,
            "allow_plaintext_backup": self.allow_plaintext_backup,
            "supports_encryption": self.key_type.encrypts(),
            "supports_decryption": self.key_type.encrypts(),
            "supports_signing": self.key_type.signs(),
            "supports_derivation": self.key_type.can_be_derived(),
            "auto_rotate_period": self.auto_rotate_period,
            "imported_key": false,
            "soft_deleted": self.soft_deleted,
        });
        if self.derived {
            data["kdf"] = "hkdf_sha256".into();
        }
        if self.key_type != KeyType::Hmac {
            let versions =
                self.active().map(|(number, version)| (number.to_string(), self.show(version, context)));
            data["keys"] = Value::Object(versions.collect::<Map<_, _>>());
        }
        data
    }

    fn show(&self, version: &Version, context: Option<&[u8]>) -> Value {
        match &*version.material {
            Material::Symmetric => version.created.as_second().into(),
            material => json!({
                "name": self.key_type.version_name(),
                "public_key": material.public_key(context).unwrap_or_default(),
                "certificate_chain": "",
                "creation_time": version.created.to_string(),
            }),
        }
    }
}
