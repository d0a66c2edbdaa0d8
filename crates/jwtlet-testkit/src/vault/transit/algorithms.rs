//! How the options of a request map onto what the cryptographic library offers.

use aws_lc_rs::digest::{
    Algorithm, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA3_256, SHA3_384, SHA3_512, SHA224, SHA256, SHA384, SHA512,
};
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaPssSaltLength, RsaSignatureEncoding,
};

use super::sign_options::{Salt, Scheme, SignOptions};

/// The curves of ECDSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// The hash algorithms of the API, those that the library lacks included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    None,
    Of(&'static str, &'static Algorithm),
    Missing(&'static str),
}

impl Hash {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "sha1" => Self::Of("sha1", &SHA1_FOR_LEGACY_USE_ONLY),
            "sha2-224" => Self::Of("sha2-224", &SHA224),
            "sha2-256" => Self::Of("sha2-256", &SHA256),
            "sha2-384" => Self::Of("sha2-384", &SHA384),
            "sha2-512" => Self::Of("sha2-512", &SHA512),
            "sha3-224" => Self::Missing("sha3-224"),
            "sha3-256" => Self::Of("sha3-256", &SHA3_256),
            "sha3-384" => Self::Of("sha3-384", &SHA3_384),
            "sha3-512" => Self::Of("sha3-512", &SHA3_512),
            _ => return None,
        })
    }
}

/// A hash in the length the library ties to the curve.
///
/// ECDSA reads a hash as a number of at most the bits of the group order: a longer one loses its tail, and
/// zeros before a shorter one change nothing. So any hash can be signed with any curve, as Vault does it.
pub(super) fn fitted(curve: Curve, hash: &[u8]) -> Result<Digest, String> {
    let algorithm = match curve {
        Curve::P256 => &SHA256,
        Curve::P384 => &SHA384,
        Curve::P521 => &SHA512,
    };
    let mut exact = vec![0; algorithm.output_len().saturating_sub(hash.len())];
    exact.extend_from_slice(hash.get(..algorithm.output_len()).unwrap_or(hash));
    Digest::import_less_safe(&exact, algorithm).map_err(|_| "signing failed".to_owned())
}

/// The padding of an RSA signature.
pub(super) fn rsa_encoding(
    options: &SignOptions,
    modulus_len: usize,
) -> Result<&'static RsaSignatureEncoding, String> {
    let Hash::Of(name, algorithm) = options.hash else {
        return Err(lacking("this hash algorithm with RSA"));
    };
    let hash_len = algorithm.output_len();
    let longest = modulus_len.saturating_sub(hash_len + 2);
    let longest_salt = match options.salt {
        Salt::Auto => true,
        Salt::Hash => false,
        Salt::Bytes(bytes) if bytes == hash_len => false,
        Salt::Bytes(bytes) if bytes == longest => true,
        Salt::Bytes(_) => return Err(lacking("this salt length")),
    };
    let encoding: &'static RsaSignatureEncoding = match (options.scheme, name, longest_salt) {
        (Scheme::Pkcs1v15, "sha2-256", _) => &RSA_PKCS1_SHA256,
        (Scheme::Pkcs1v15, "sha2-384", _) => &RSA_PKCS1_SHA384,
        (Scheme::Pkcs1v15, "sha2-512", _) => &RSA_PKCS1_SHA512,
        (Scheme::Pss, "sha2-256", false) => &RSA_PSS_SHA256,
        (Scheme::Pss, "sha2-384", false) => &RSA_PSS_SHA384,
        (Scheme::Pss, "sha2-512", false) => &RSA_PSS_SHA512,
        (Scheme::Pss, "sha2-256", true) => {
            &const { RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) }
        }
        (Scheme::Pss, "sha2-384", true) => {
            &const { RSA_PSS_SHA384.with_pss_salt_length(RsaPssSaltLength::Max) }
        }
        (Scheme::Pss, "sha2-512", true) => {
            &const { RSA_PSS_SHA512.with_pss_salt_length(RsaPssSaltLength::Max) }
        }
        (Scheme::Unknown, ..) => return Err("unsupported rsa signature algorithm".to_owned()),
        _ => return Err(lacking("this hash algorithm with RSA")),
    };
    Ok(encoding)
}

fn lacking(what: &str) -> String {
    format!("this stand-in does not support {what}")
}
