//! Public keys as transit shows them: to verify with, and to publish.
//!
//! Every signature is verified before it leaves, because Vault has more than one way to answer 200 with a signature
//! that no JWT library accepts: an ignored parameter, another version, another encoding.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jwtlet_core::{jwk::PublicKey, jws::Algorithm};
use pkcs1::RsaPublicKeyOwned;
use spki::{
    ObjectIdentifier, SubjectPublicKeyInfoOwned,
    der::{DecodePem, asn1::Uint},
};

use crate::{choices::RsaAlgorithm, signature::SignatureFault};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A NIST curve with the one hash that JWS ties to it (RFC 7518 §3.4).
#[derive(Debug)]
pub(crate) struct Curve {
    name: &'static str,
    id: ObjectIdentifier,
    /// The length of a coordinate, and of each half of a signature.
    width: usize,
    algorithm: Algorithm,
    verification: &'static dyn VerificationAlgorithm,
}

static P256: Curve = Curve {
    name: "P-256",
    id: ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    width: 32,
    algorithm: Algorithm::ES256,
    verification: &ECDSA_P256_SHA256_FIXED,
};
static P384: Curve = Curve {
    name: "P-384",
    id: ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    width: 48,
    algorithm: Algorithm::ES384,
    verification: &ECDSA_P384_SHA384_FIXED,
};
static P521: Curve = Curve {
    name: "P-521",
    id: ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    width: 66,
    algorithm: Algorithm::ES512,
    verification: &ECDSA_P521_SHA512_FIXED,
};

/// The kinds of transit key that sign JWTs here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyKind {
    Ed25519,
    Ecdsa(&'static Curve),
    Rsa(RsaAlgorithm),
}

impl KeyKind {
    /// The kind of a transit `type`.
    pub(crate) fn of_type(name: &str, rsa: RsaAlgorithm) -> Option<Self> {
        match name {
            "ed25519" => Some(Self::Ed25519),
            "ecdsa-p256" => Some(Self::Ecdsa(&P256)),
            "ecdsa-p384" => Some(Self::Ecdsa(&P384)),
            "ecdsa-p521" => Some(Self::Ecdsa(&P521)),
            "rsa-2048" | "rsa-3072" | "rsa-4096" => Some(Self::Rsa(rsa)),
            _ => None,
        }
    }

    /// The one algorithm that keys of this kind are used with.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDSA,
            Self::Ecdsa(curve) => curve.algorithm,
            Self::Rsa(RsaAlgorithm::Rs256) => Algorithm::RS256,
            Self::Rsa(RsaAlgorithm::Ps256) => Algorithm::PS256,
        }
    }
}

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicKeyError {
    #[error("it is not base64")]
    NotBase64(#[source] base64::DecodeError),
    #[error("it is {0} bytes long instead of 32")]
    NotEd25519(usize),
    #[error("it is not a PEM public key")]
    NotPem(#[source] spki::der::Error),
    #[error("it is of another kind than the key's type")]
    OtherKind,
    #[error("it is not an RSA public key")]
    NotRsa(#[source] pkcs1::Error),
    #[error("it is not a valid key of its kind")]
    Rejected(#[source] aws_lc_rs::error::KeyRejected),
}

/// A public key that verifies signatures of one algorithm.
#[derive(Debug)]
pub(crate) struct VerificationKey {
    key: ParsedPublicKey,
    signature_length: usize,
    public: PublicKey,
}

impl VerificationKey {
    /// Parses what transit shows: the base64 of 32 bytes for Ed25519, else PEM.
    pub(crate) fn parse(kind: KeyKind, text: &str) -> Result<Self, PublicKeyError> {
        match kind {
            KeyKind::Ed25519 => Self::ed25519(text),
            KeyKind::Ecdsa(curve) => {
                Self::ecdsa(curve, &subject_public_key(text, EC_PUBLIC_KEY, Some(curve.id))?)
            }
            KeyKind::Rsa(algorithm) => Self::rsa(algorithm, &subject_public_key(text, RSA_ENCRYPTION, None)?),
        }
    }

    fn ed25519(text: &str) -> Result<Self, PublicKeyError> {
        let bytes = STANDARD.decode(text).map_err(PublicKeyError::NotBase64)?;
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|other: Vec<u8>| PublicKeyError::NotEd25519(other.len()))?;
        Ok(Self { key: parsed(&ED25519, &bytes)?, signature_length: 64, public: PublicKey::ed25519(&bytes) })
    }

    fn ecdsa(curve: &'static Curve, point: &[u8]) -> Result<Self, PublicKeyError> {
        let key = parsed(curve.verification, point)?;
        // The uncompressed form of SEC 1 §2.3.3: 4, x, y.
        let Some((4, coordinates)) = point.split_first().map(|(form, rest)| (*form, rest)) else {
            return Err(PublicKeyError::OtherKind);
        };
        let (x, y) = coordinates.split_at_checked(curve.width).ok_or(PublicKeyError::OtherKind)?;
        Ok(Self { key, signature_length: 2 * curve.width, public: PublicKey::ec(curve.name, x, y) })
    }

    fn rsa(algorithm: RsaAlgorithm, pkcs1: &[u8]) -> Result<Self, PublicKeyError> {
        let key = match algorithm {
            RsaAlgorithm::Rs256 => parsed(&RSA_PKCS1_2048_8192_SHA256, pkcs1)?,
            // It accepts the salt length of RFC 7518 §3.5 only, that of the hash.
            RsaAlgorithm::Ps256 => parsed(&RSA_PSS_2048_8192_SHA256, pkcs1)?,
        };
        let numbers = RsaPublicKeyOwned::try_from(pkcs1).map_err(PublicKeyError::NotRsa)?;
        let bytes = |number: &Uint| number.as_bytes().to_vec();
        let (modulus, exponent) = (bytes(&numbers.modulus), bytes(&numbers.public_exponent));
        Ok(Self { key, signature_length: modulus.len(), public: PublicKey::rsa(&modulus, &exponent) })
    }

    /// The key's public form.
    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether a signature has the one length that the encoding of a JWS gives it.
    pub(crate) fn check_length(&self, signature: &[u8]) -> Result<(), SignatureFault> {
        if signature.len() != self.signature_length {
            return Err(SignatureFault::Length { expected: self.signature_length, actual: signature.len() });
        }
        Ok(())
    }

    /// Whether this is a signature over the message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureFault> {
        self.key.verify_sig(message, signature).map_err(|_| SignatureFault::Invalid)
    }
}

fn parsed(
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, PublicKeyError> {
    ParsedPublicKey::new(algorithm, bytes).map_err(PublicKeyError::Rejected)
}

/// The key inside a PEM `PUBLIC KEY` (RFC 5280 §4.1) of the expected algorithm and parameters.
fn subject_public_key(
    pem: &str,
    algorithm: ObjectIdentifier,
    parameters: Option<ObjectIdentifier>,
) -> Result<Vec<u8>, PublicKeyError> {
    let info = SubjectPublicKeyInfoOwned::from_pem(pem).map_err(PublicKeyError::NotPem)?;
    let is_expected = info.algorithm.oid == algorithm
        && parameters.is_none_or(|expected| {
            info.algorithm.parameters.as_ref().and_then(|any| any.decode_as().ok()) == Some(expected)
        });
    match info.subject_public_key.as_bytes() {
        Some(key) if is_expected => Ok(key.to_vec()),
        _ => Err(PublicKeyError::OtherKind),
    }
}
