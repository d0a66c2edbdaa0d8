//! Verification of tokens as somebody else's code does it.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk};
use jwtlet_core::jws::CompactJws;
use serde_json::Value;

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// The `kid` and the claims of a token that verifies with a key of this set.
pub(crate) fn verified(jws: &CompactJws, keys: &Value) -> Result<(String, Value), String> {
    let header: Value = serde_json::from_slice(&decoded(jws.expose().split('.').next().unwrap())).unwrap();
    assert_eq!(header["typ"], "JWT");
    let kid = header["kid"].as_str().unwrap().to_owned();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid);
    let key = key.ok_or_else(|| format!("{kid} is not among the keys"))?;
    assert_eq!((&key["use"], &key["alg"]), (&Value::from("sig"), &header["alg"]));
    let claims = if key["alg"] == "ES512" { with_p521(jws, key) } else { with_library(jws, key) };
    claims.map(|claims| (kid, claims))
}

fn with_library(jws: &CompactJws, key: &Value) -> Result<Value, String> {
    let key: jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
    let mut validation = Validation::new(decode_header(jws.expose()).unwrap().alg);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let token = decode::<Value>(jws.expose(), &DecodingKey::from_jwk(&key).unwrap(), &validation);
    token.map(|token| token.claims).map_err(|error| error.to_string())
}

/// The library does not know the curve.
fn with_p521(jws: &CompactJws, key: &Value) -> Result<Value, String> {
    assert_eq!((&key["kty"], &key["crv"]), (&Value::from("EC"), &Value::from("P-521")));
    let coordinate = |name: &str| decoded(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (message, signature) = jws.expose().rsplit_once('.').unwrap();
    UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point)
        .verify(message.as_bytes(), &decoded(signature))
        .map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&decoded(message.split('.').nth(1).unwrap())).unwrap())
}
