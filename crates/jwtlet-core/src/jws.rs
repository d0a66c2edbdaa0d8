//! Assembly of a compact JWS (RFC 7515) whose signature is made elsewhere.
//!
//! The `kid` is part of the bytes that get signed, so a [`SigningInput`] is made for one key version and joined with a
//! signature of that version only.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub enum Algorithm {
    /// Ed25519. The name of RFC 8037, because verifiers in use do not know the newer `Ed25519` of RFC 9864.
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256 and a salt of its length.
    PS256,
}

impl Algorithm {
    /// The value of the `alg` header parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

/// The first part of every JWS that one key version signs: its base64url encoded header.
///
/// It depends on the key version alone, so a signer makes it once per version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedHeader(String);

impl EncodedHeader {
    /// The header `{"alg", "typ": "JWT", "kid"}`.
    #[must_use]
    pub fn new(algorithm: Algorithm, kid: &str) -> Self {
        let header = Header { alg: algorithm.name(), typ: "JWT", kid };
        // Three strings always serialise; the fallback keeps this total without a panic.
        Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).unwrap_or_default()))
    }
}

/// The bytes that get signed: `base64url(header) "." base64url(payload)` (RFC 7515 §5.1).
#[derive(Clone, PartialEq, Eq)]
pub struct SigningInput(String);

impl SigningInput {
    /// Joins a header and the JSON of the claims.
    #[must_use]
    pub fn new(header: &EncodedHeader, payload: &[u8]) -> Self {
        // Room for the signature of an RSA-2048 key, so that joining it later does not copy.
        let mut text = String::with_capacity(header.0.len() + payload.len() * 4 / 3 + 352);
        text.push_str(&header.0);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        Self(text)
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The finished JWS.
    #[must_use]
    pub fn join(mut self, signature: &[u8]) -> CompactJws {
        self.0.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut self.0);
        CompactJws(self.0)
    }
}

/// A signed token in compact form. It is a credential: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct CompactJws(String);

impl CompactJws {
    /// The token, to be sent to the caller and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CompactJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactJws(..)")
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningInput(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jws_is_header_payload_and_signature_in_base64url_without_padding() {
        let header = EncodedHeader::new(Algorithm::EdDSA, "signing-2");
        let jws = SigningInput::new(&header, br#"{"sub":"a"}"#).join(&[0xfb, 0xff]);
        let parts: Vec<&str> = jws.expose().split('.').collect();
        let decoded = |part| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decoded(parts[0]), r#"{"alg":"EdDSA","typ":"JWT","kid":"signing-2"}"#);
        assert_eq!(decoded(parts[1]), r#"{"sub":"a"}"#);
        assert_eq!(parts[2], "-_8");
        assert_eq!(format!("{jws:?}"), "CompactJws(..)");
    }
}
