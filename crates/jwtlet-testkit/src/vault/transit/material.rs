//! The secret part of a key version, parsed once.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};

use super::algorithms::{Curve, fitted, rsa_encoding};
use super::key::KeyType;
use super::sign_options::{Marshaling, SignOptions};
use crate::encoding::{base64, public_key_pem};
use crate::error::KeyError;

/// What a version signs with.
pub(super) enum Material {
    Symmetric,
    Ed25519(Ed25519KeyPair),
    /// An Ed25519 key per context, from one secret.
    Derived(Box<hmac::Key>),
    Ecdsa {
        curve: Curve,
        /// The same key twice: the library ties a key to the form of its signatures.
        der: EcdsaKeyPair,
        fixed: EcdsaKeyPair,
    },
    Rsa(Arc<rsa::KeyPair>),
}

impl Material {
    /// Makes a key; `index` chooses among the RSA keys of the process.
    pub(super) fn generate(key_type: KeyType, derived: bool, index: usize) -> Result<Self, KeyError> {
        match key_type {
            KeyType::Aes256Gcm96 | KeyType::Hmac => Ok(Self::Symmetric),
            KeyType::Ed25519 if derived => {
                let mut secret = [0; 32];
                SystemRandom::new().fill(&mut secret)?;
                Ok(Self::Derived(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret))))
            }
            KeyType::Ed25519 => Ok(Self::Ed25519(Ed25519KeyPair::generate()?)),
            KeyType::EcdsaP256 => {
                ecdsa(Curve::P256, &ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING)
            }
            KeyType::EcdsaP384 => {
                ecdsa(Curve::P384, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING)
            }
            KeyType::EcdsaP521 => {
                ecdsa(Curve::P521, &ECDSA_P521_SHA512_ASN1_SIGNING, &ECDSA_P521_SHA512_FIXED_SIGNING)
            }
            KeyType::Rsa2048 => Ok(Self::Rsa(crate::rsa::pooled(KeySize::Rsa2048, index)?)),
            KeyType::Rsa3072 => Ok(Self::Rsa(crate::rsa::pooled(KeySize::Rsa3072, index)?)),
            KeyType::Rsa4096 => Ok(Self::Rsa(crate::rsa::pooled(KeySize::Rsa4096, index)?)),
        }
    }

    /// The public key as the API shows it. A derived key has one only for a context.
    pub(super) fn public_key(&self, context: Option<&[u8]>) -> Option<String> {
        let spki: PublicKeyX509Der<'_> = match self {
            Self::Symmetric => return None,
            Self::Ed25519(pair) => return Some(base64(pair.public_key())),
            Self::Derived(secret) => return Some(base64(derive(secret, context?)?.public_key())),
            Self::Ecdsa { der, .. } => der.public_key().as_der().ok()?,
            Self::Rsa(pair) => pair.public_key().as_der().ok()?,
        };
        Some(public_key_pem(spki.as_ref()))
    }

    /// Signs `input`, hashing it first where the key type and the options say so.
    pub(super) fn sign(
        &self,
        input: &[u8],
        options: &SignOptions,
        context: Option<&[u8]>,
    ) -> Result<Vec<u8>, String> {
        match self {
            Self::Symmetric => Err("message signing not supported for this key type".to_owned()),
            Self::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
            Self::Derived(secret) => {
                let pair = context.and_then(|context| derive(secret, context));
                let pair = pair.ok_or("missing 'context' for key derivation")?;
                Ok(pair.sign(input).as_ref().to_vec())
            }
            Self::Ecdsa { curve, der, fixed } => {
                let hashed = options.hashed(input)?;
                let pair = if options.marshaling == Marshaling::Jws { fixed } else { der };
                let signature = pair.sign_digest(&fitted(*curve, &hashed)?).map_err(|_| failed())?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let encoding = rsa_encoding(options, pair.public_modulus_len())?;
                let digest = options.digest(input)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding, &digest, &mut signature).map_err(|_| failed())?;
                Ok(signature)
            }
        }
    }
}

fn failed() -> String {
    "signing failed".to_owned()
}

fn ecdsa(
    curve: Curve,
    der: &'static EcdsaSigningAlgorithm,
    fixed: &'static EcdsaSigningAlgorithm,
) -> Result<Material, KeyError> {
    let pair = EcdsaKeyPair::generate(der)?;
    let fixed = EcdsaKeyPair::from_pkcs8(fixed, pair.to_pkcs8v1()?.as_ref())?;
    Ok(Material::Ecdsa { curve, der: pair, fixed })
}

fn derive(secret: &hmac::Key, context: &[u8]) -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(hmac::sign(secret, context).as_ref()).ok()
}
