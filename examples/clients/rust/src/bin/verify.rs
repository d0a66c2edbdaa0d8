//! Verifies the token on standard input as a service does, and prints its claims.
//!
//! A service keeps the keys for five minutes, and fetches them again, at most every few seconds, when a token names one
//! that it does not know.

use std::{env, error::Error, io};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::Value;

fn verify(token: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Value, Box<dyn Error>> {
    // The algorithm of your signing key, and no other.
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    // A token without one of these would pass the checks above.
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let kid = jsonwebtoken::decode_header(token)?.kid.ok_or("the token names no key")?;
    let key = keys.find(&kid).ok_or("the token names an unknown key")?;
    Ok(jsonwebtoken::decode(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (issuer, audience) = (env::var("ISSUER")?, env::var("AUDIENCE")?);
    let keys = reqwest::ClientBuilder::new().build()?;
    let keys =
        keys.get(format!("{issuer}/.well-known/jwks.json")).send().await?.error_for_status()?.json().await?;
    let token = io::read_to_string(io::stdin())?;
    println!("{}", verify(token.trim(), &keys, &issuer, &audience)?);
    Ok(())
}
