//! The published keys (RFC 7517), and whether one of them made a signature.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{jwt::Decoded, text::printable};

/// A JWK Set.
#[derive(Debug, Deserialize)]
pub(crate) struct KeySet {
    pub(crate) keys: Vec<Key>,
}

/// A published key, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    #[serde(default)]
    pub(crate) kid: String,
    #[serde(default)]
    pub(crate) alg: String,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// What the keys say about a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key that the token names made it.
    Verified,
    /// The token names no key that is published.
    UnknownKey,
    /// The key that the token names did not make it, or is for another algorithm.
    NotVerified,
}

impl Verdict {
    /// The same for people.
    pub(crate) fn describe(self, token: &Decoded) -> String {
        let kid = printable(token.header["kid"].as_str().unwrap_or("none"));
        match self {
            Self::Verified => format!("verified with the published key {kid}"),
            Self::UnknownKey => format!("not verified: the key {kid} is not published"),
            Self::NotVerified => format!("not verified: it is not a signature of the published key {kid}"),
        }
    }
}

impl KeySet {
    /// Checks a token's signature with the key that its header names.
    pub(crate) fn verify(&self, token: &str, decoded: &Decoded) -> Verdict {
        let Some(kid) = decoded.header["kid"].as_str() else { return Verdict::UnknownKey };
        let Some(key) = self.keys.iter().find(|key| key.kid == kid) else { return Verdict::UnknownKey };
        let signed = token.rsplit_once('.').and_then(|(message, signature)| {
            let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
            let same_algorithm = decoded.header["alg"].as_str() == Some(&key.alg);
            same_algorithm.then(|| key.made(message.as_bytes(), &signature))?
        });
        if signed.is_some() { Verdict::Verified } else { Verdict::NotVerified }
    }
}

impl Key {
    /// Whether the key has what its algorithm needs.
    pub(crate) fn is_usable(&self) -> bool {
        match &*self.alg {
            "EdDSA" => member(self.x.as_ref()).is_some(),
            "ES256" | "ES384" | "ES512" => self.point().is_some(),
            "RS256" | "PS256" => self.rsa().is_some(),
            _ => false,
        }
    }

    fn made(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let unparsed = |algorithm: &'static dyn VerificationAlgorithm, key: Vec<u8>| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).ok()
        };
        match &*self.alg {
            "EdDSA" => unparsed(&ED25519, member(self.x.as_ref())?),
            "ES256" => unparsed(&ECDSA_P256_SHA256_FIXED, self.point()?),
            "ES384" => unparsed(&ECDSA_P384_SHA384_FIXED, self.point()?),
            "ES512" => unparsed(&ECDSA_P521_SHA512_FIXED, self.point()?),
            "RS256" => self.rsa()?.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).ok(),
            "PS256" => self.rsa()?.verify(&RSA_PSS_2048_8192_SHA256, message, signature).ok(),
            _ => None,
        }
    }

    /// The uncompressed point (SEC 1 §2.3.3).
    fn point(&self) -> Option<Vec<u8>> {
        Some([vec![4], member(self.x.as_ref())?, member(self.y.as_ref())?].concat())
    }

    fn rsa(&self) -> Option<RsaPublicKeyComponents<Vec<u8>>> {
        Some(RsaPublicKeyComponents { n: member(self.n.as_ref())?, e: member(self.e.as_ref())? })
    }
}

fn member(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
