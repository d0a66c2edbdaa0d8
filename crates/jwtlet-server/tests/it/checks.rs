//! What several tests assert: a refusal in the form of RFC 6749 §5.2, and a token that a consumer accepts.

use jsonwebtoken::{
    DecodingKey, TokenData, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, Jwk, JwkSet},
};
use serde_json::Value;

use crate::harness::{Answer, CONNECTOR, Harness};

impl Harness {
    /// A server at which `demo:connector` may act for `acme` with the scopes `read` and `write`.
    pub(crate) async fn with_acme() -> Self {
        let server = Self::start().await;
        server.map(CONNECTOR, "acme", &["read", "write"], &[]).await;
        server
    }

    /// Exchanges a current token for `acme`, which works, whatever was refused before.
    pub(crate) async fn exchange_works(&self) {
        let answer = self.exchange(&[("resource", "acme")]).await;
        assert_eq!(answer.status, 200, "{answer}");
    }
}

impl Answer {
    /// This is a refusal by the token endpoint: JSON, never cached, described in the characters of RFC 6749 §5.2.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, error: &str) {
        let body = self.json();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(error)), "{self}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self}");
        assert_eq!(self.header("pragma"), Some("no-cache"), "{self}");
        let description = body["error_description"].as_str().unwrap();
        let allowed = |c| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(description.len() > 10 && description.chars().all(allowed), "{self}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{self}");
    }

    /// This is a refusal of a subject token that repeats no part of it.
    #[track_caller]
    pub(crate) fn assert_subject_refused(&self, token: &str) {
        self.assert_refused(400, "invalid_request");
        let parts = token.split(['.', ' ', '\n']).filter(|part| part.len() > 8);
        assert!(parts.clone().all(|part| !self.body.contains(part)), "{self}");
    }
}

/// Verifies a token as a downstream service does that knows the issuer's URL, and nothing else of jwtlet.
pub(crate) async fn verify(issuer: &str, audience: &str, token: &str) -> Value {
    let metadata = fetch(&format!("{issuer}/.well-known/openid-configuration")).await.json();
    assert_eq!(metadata["issuer"], issuer);
    let keys = fetch(metadata["jwks_uri"].as_str().unwrap()).await;
    let keys: JwkSet = serde_json::from_str(&keys.body).unwrap();
    let header = decode_header(token).unwrap();
    let key = keys.find(header.kid.as_ref().unwrap()).unwrap();
    check_public(key);
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp", "nbf"]);
    validation.validate_nbf = true;
    let data: TokenData<Value> = decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
    data.claims
}

/// The key says what it is for, and its algorithm fits its type.
fn check_public(key: &Jwk) {
    let published = serde_json::to_value(key).unwrap();
    assert_eq!(published["use"], "sig", "{published}");
    let expected = match &key.algorithm {
        AlgorithmParameters::OctetKeyPair(_) => "EdDSA",
        AlgorithmParameters::EllipticCurve(_) => "ES256",
        _ => "RS256",
    };
    assert_eq!(published["alg"], expected, "{published}");
}

async fn fetch(url: &str) -> Answer {
    #[expect(clippy::disallowed_methods, reason = "a consumer has a client of its own")]
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let answer = Answer::of(client.get(url)).await;
    assert_eq!(answer.status, 200, "{url}: {answer}");
    answer
}
