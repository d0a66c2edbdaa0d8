//! Verifies issued tokens as a downstream service does.

use std::net::SocketAddr;

use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;

use crate::{
    client,
    environment::{AUDIENCE, CONTEXT, SCOPE},
    error::BenchError,
};

#[derive(Deserialize)]
struct Claims {
    sub: String,
    scope: String,
}

/// Verifies these tokens with the published keys.
pub(crate) async fn verify(exchange: SocketAddr, issuer: &str, tokens: &[String]) -> Result<(), BenchError> {
    let call = "GET /.well-known/jwks.json";
    let body = client::call(call, exchange, client::get(exchange, "/.well-known/jwks.json")?, StatusCode::OK)
        .await?;
    let keys: JwkSet =
        serde_json::from_slice(&body).map_err(|cause| BenchError::Garbled("the server", cause))?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "nbf", "sub"]);
    validation.validate_nbf = true;
    for token in tokens {
        let kid = decode_header(token)?.kid.unwrap_or_default();
        let key = keys.find(&kid).ok_or(BenchError::UnknownKey(kid))?;
        let Claims { sub, scope } = decode(token, &DecodingKey::from_jwk(key)?, &validation)?.claims;
        if (sub.as_str(), scope.as_str()) != (CONTEXT, SCOPE) {
            return Err(BenchError::WrongSubject(format!("{sub} with the scope {scope}")));
        }
    }
    Ok(())
}
