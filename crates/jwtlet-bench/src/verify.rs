//! Verifies issued tokens as a downstream service does.

use std::net::SocketAddr;

use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use jwtlet_testkit::KeyType;
use serde::Deserialize;

use crate::{
    client,
    environment::{AUDIENCE, CONTEXT},
    error::BenchError,
};

#[derive(Deserialize)]
struct Claims {
    sub: String,
    scope: String,
}

/// Verifies these tokens with the published keys, whose type this is. Each must have all scopes.
pub(crate) async fn verify(
    exchange: SocketAddr,
    issuer: &str,
    key: KeyType,
    scopes: &[String],
    tokens: &[String],
) -> Result<(), BenchError> {
    let call = "GET /.well-known/jwks.json";
    let body = client::call(call, exchange, client::get(exchange, "/.well-known/jwks.json")?, StatusCode::OK)
        .await?;
    let keys: JwkSet =
        serde_json::from_slice(&body).map_err(|cause| BenchError::Garbled("the server", cause))?;
    let mut validation = Validation::new(algorithm(key));
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "nbf", "sub"]);
    validation.validate_nbf = true;
    let granted = scopes.join(" ");
    for token in tokens {
        let kid = decode_header(token)?.kid.unwrap_or_default();
        let key = keys.find(&kid).ok_or(BenchError::UnknownKey(kid))?;
        let Claims { sub, scope } = decode(token, &DecodingKey::from_jwk(key)?, &validation)?.claims;
        if (sub.as_str(), scope.as_str()) != (CONTEXT, &*granted) {
            return Err(BenchError::WrongSubject(format!("{sub} with the scope {scope}")));
        }
    }
    Ok(())
}

fn algorithm(key: KeyType) -> Algorithm {
    match key {
        KeyType::EcdsaP256 => Algorithm::ES256,
        KeyType::Rsa2048 => Algorithm::RS256,
        _ => Algorithm::EdDSA,
    }
}
