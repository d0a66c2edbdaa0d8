//! The keys that sign service account tokens.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use serde_json::{Value, json};

use crate::encoding::base64url;
use crate::error::KeyError;
use crate::rsa;

/// An RSA key together with the name it goes by in tokens and in the key set.
pub(super) struct IssuerKey {
    pair: Arc<KeyPair>,
    public: ParsedPublicKey,
    id: String,
}

impl IssuerKey {
    /// A key of its own: two clusters must not accept each other's tokens.
    pub(super) fn generate() -> Result<Self, KeyError> {
        Self::new(Arc::new(KeyPair::generate(KeySize::Rsa2048)?))
    }

    fn new(pair: Arc<KeyPair>) -> Result<Self, KeyError> {
        let spki = AsDer::as_der(pair.public_key())?;
        let id = base64url(digest(&SHA256, spki.as_ref()));
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())?;
        Ok(Self { pair, public, id })
    }

    /// The key id: a hash of the DER form, not the thumbprint of RFC 7638.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Signs, or returns nothing in the (unseen) case that the library refuses.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        match self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature) {
            Ok(()) => signature,
            Err(_) => Vec::new(),
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    pub(super) fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        json!({
            "use": "sig",
            "kty": "RSA",
            "kid": self.id,
            "alg": "RS256",
            "n": base64url(public.modulus().big_endian_without_leading_zero()),
            "e": base64url(public.exponent().big_endian_without_leading_zero()),
        })
    }
}

/// A key that no cluster publishes. All clusters of a process share it.
pub(super) fn foreign_key() -> Result<IssuerKey, KeyError> {
    IssuerKey::new(rsa::pooled(KeySize::Rsa2048, 0)?)
}
