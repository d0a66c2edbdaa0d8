//! The published form of a public key (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! The types have no place for a private member, so none can be published by mistake.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;

use crate::jws::Algorithm;

/// The public members of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// An Edwards curve key.
    #[serde(rename = "OKP")]
    Okp {
        /// The curve, `Ed25519`.
        crv: &'static str,
        /// The key, base64url.
        x: String,
    },
    /// A key on a NIST curve.
    #[serde(rename = "EC")]
    Ec {
        /// The curve: `P-256`, `P-384` or `P-521`.
        crv: &'static str,
        /// The x coordinate in the curve's full width, base64url.
        x: String,
        /// The y coordinate in the curve's full width, base64url.
        y: String,
    },
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, big-endian without leading zeros, base64url.
        n: String,
        /// The exponent, big-endian without leading zeros, base64url.
        e: String,
    },
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    #[must_use]
    pub fn ed25519(key: &[u8; 32]) -> Self {
        Self::Okp { crv: "Ed25519", x: URL_SAFE_NO_PAD.encode(key) }
    }

    /// A NIST curve key from its coordinates, each in the curve's full width.
    #[must_use]
    pub fn ec(crv: &'static str, x: &[u8], y: &[u8]) -> Self {
        Self::Ec { crv, x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) }
    }

    /// An RSA key from its big-endian modulus and exponent.
    #[must_use]
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let encode = |number: &[u8]| {
            let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
            URL_SAFE_NO_PAD.encode(&number[start..])
        };
        Self::Rsa { n: encode(modulus), e: encode(exponent) }
    }
}

/// A signature key with its name and its one algorithm (RFC 8725 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwk {
    #[serde(flatten)]
    key: PublicKey,
    /// `sig`: it verifies signatures.
    #[serde(rename = "use")]
    usage: &'static str,
    alg: Algorithm,
    /// The name of the key, `KEY_NAME-VERSION`.
    kid: String,
}

impl Jwk {
    /// A key for signatures.
    #[must_use]
    pub fn new(kid: String, alg: Algorithm, key: PublicKey) -> Self {
        Self { key, usage: "sig", alg, kid }
    }

    /// The key's name, unique in its set.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that this key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.alg
    }
}

/// A JWK Set: every key that can verify a live token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JwkSet {
    /// The keys, oldest version first.
    pub keys: Vec<Jwk>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwk_has_public_members_only_and_numbers_without_leading_zeros() {
        let key = Jwk::new("k-1".into(), Algorithm::RS256, PublicKey::rsa(&[0, 0, 0xc0, 1], &[1, 0, 1]));
        let json = serde_json::to_string(&JwkSet { keys: vec![key] }).unwrap();
        assert_eq!(
            json,
            r#"{"keys":[{"kty":"RSA","n":"wAE","e":"AQAB","use":"sig","alg":"RS256","kid":"k-1"}]}"#
        );
    }
}
