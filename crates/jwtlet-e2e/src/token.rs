//! An issued token, verified as another service would: with a library that is not jwtlet's, and the published keys.

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::Value;

use crate::failure::Failure;

/// A token as it came from an exchange.
pub(crate) struct Issued {
    token: String,
    /// The version of the key that signed it.
    pub(crate) key_id: String,
    /// The granted scopes.
    pub(crate) scope: Option<String>,
}

impl Issued {
    /// Reads the answer of an exchange.
    pub(crate) fn read(answer: &Value) -> Result<Self, Failure> {
        let token = answer["access_token"].as_str().unwrap_or_default().to_owned();
        let Some(key_id) = decode_header(&token)?.kid else {
            return Err(Failure::Broken("the issued token names no key".into()));
        };
        let scope = answer["scope"].as_str().map(str::to_owned);
        Ok(Self { token, key_id, scope })
    }

    /// Its claims, if these keys verify it for this issuer and audience.
    pub(crate) fn verify(&self, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Value, Failure> {
        let header = decode_header(&self.token)?;
        let Some(key) = keys.find(&self.key_id) else {
            return Err(Failure::Broken(format!("the key {} is not published", self.key_id)));
        };
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        Ok(decode::<Value>(&self.token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
    }
}
