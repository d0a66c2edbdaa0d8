//! The options of a signature, which all items of a batch share.

use aws_lc_rs::digest::{Digest, digest};

use super::super::answer::Refusal;
use super::super::params::Params;
use super::algorithms::Hash;

/// How the signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marshaling {
    /// DER for ECDSA, and padded standard base64 for all.
    Asn1,
    /// R and S side by side for ECDSA, and base64url without padding for all.
    Jws,
}

/// The RSA signature scheme. Other key types ignore it, even an unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Pss,
    Pkcs1v15,
    Unknown,
}

/// The salt of PSS. `Auto` is the longest possible, which RFC 7518 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Salt {
    Auto,
    Hash,
    Bytes(usize),
}

/// Everything but the input, the context and the reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignOptions {
    pub(super) hash: Hash,
    pub(super) scheme: Scheme,
    pub(super) marshaling: Marshaling,
    pub(super) salt: Salt,
    pub(super) prehashed: bool,
    pub(super) key_version: i64,
}

impl SignOptions {
    /// Reads the options; a hash algorithm in the path beats the one in the body.
    pub(super) fn parse(params: &Params, hash_in_path: Option<&str>) -> Result<Self, Refusal> {
        let body_hash = params.text("hash_algorithm")?.unwrap_or_else(|| "sha2-256".to_owned());
        let mut hash = hash_in_path.map_or(body_hash, str::to_owned);
        if hash.is_empty() {
            hash = params.text("algorithm")?.unwrap_or_else(|| "sha2-256".to_owned());
        }
        let hash = Hash::named(&hash)
            .ok_or_else(|| Refusal::bad_request(format!("invalid hash algorithm {hash:?}")))?;
        let marshaling = match params.text("marshaling_algorithm")?.as_deref() {
            None | Some("asn1") => Marshaling::Asn1,
            Some("jws") => Marshaling::Jws,
            Some(other) => return Err(Refusal::bad_request(format!("invalid marshaling type {other:?}"))),
        };
        let scheme = match params.text("signature_algorithm")?.as_deref() {
            None | Some("" | "pss") => Scheme::Pss,
            Some("pkcs1v15") => Scheme::Pkcs1v15,
            Some(_) => Scheme::Unknown,
        };
        let prehashed = params.flag("prehashed")?.unwrap_or_default();
        if hash == Hash::None && !(prehashed && scheme == Scheme::Pkcs1v15) {
            return Err(Refusal::bad_request(
                "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15",
            ));
        }
        Ok(Self {
            hash,
            scheme,
            marshaling,
            salt: salt(params)?,
            prehashed,
            key_version: params.integer("key_version")?.unwrap_or_default(),
        })
    }

    /// The bytes that are signed by a key type that hashes.
    pub(super) fn hashed(&self, input: &[u8]) -> Result<Vec<u8>, String> {
        match self.hash {
            _ if self.prehashed => Ok(input.to_vec()),
            Hash::Of(_, algorithm) => Ok(digest(algorithm, input).as_ref().to_vec()),
            Hash::None => Ok(input.to_vec()),
            Hash::Missing(name) => Err(format!("this stand-in does not support {name}")),
        }
    }

    /// The same as a digest of the right length.
    pub(super) fn digest(&self, input: &[u8]) -> Result<Digest, String> {
        let Hash::Of(_, algorithm) = self.hash else {
            return Err("this stand-in does not support this hash algorithm with RSA".to_owned());
        };
        Digest::import_less_safe(&self.hashed(input)?, algorithm)
            .map_err(|_| "input must be hashed message".to_owned())
    }
}

fn salt(params: &Params) -> Result<Salt, Refusal> {
    let text = params.text("salt_length")?.unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "" | "auto" | "0" => return Ok(Salt::Auto),
        "hash" | "-1" => return Ok(Salt::Hash),
        _ => {}
    }
    text.parse()
        .map(Salt::Bytes)
        .map_err(|_| Refusal::bad_request(format!("salt length {text:?} is invalid")))
}
