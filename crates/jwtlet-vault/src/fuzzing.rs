//! What the fuzz targets call: answers of Vault, from their bytes to what is made of them, without a Vault.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jwtlet_core::jwk::JwkSet;
use jwtlet_upstream::Answer;
use secrecy::ExposeSecret;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use crate::{
    KeyName,
    choices::RsaAlgorithm,
    key_ring::{KeyRing, Lifetimes},
    key_version::KeyVersion,
    public_key::KeyKind,
    refusal::Refusal,
    sign_answer,
    sign_wire::SignData,
    wire::Envelope,
};

/// The version of the key that [`signatures`] asks for.
pub const VERSION: u32 = 3;

/// What is published of a key that Vault describes so, and the `kid` that would sign; `None` where the description is
/// refused.
#[must_use]
pub fn key(body: &[u8], now: Timestamp) -> Option<(JwkSet, Option<String>)> {
    let lifetimes =
        Lifetimes { publish_before_sign: Duration::from_mins(10), token_ttl: Duration::from_hours(1) };
    let ring = KeyRing::parse(&key_name()?, RsaAlgorithm::Rs256, lifetimes, data(body)?).ok()?;
    let signing = ring.signing(now).map(|version| version.jwk.kid().to_owned());
    Some((ring.published(now).as_ref().clone(), signing))
}

/// The signatures in an answer to a batch of so many messages, of version [`VERSION`] of an Ed25519 key; `None` where the
/// answer as a whole is refused.
#[must_use]
pub fn signatures(body: &[u8], messages: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let references: Vec<_> = (0..messages).map(|index| format!("0.{index}")).collect();
    let results =
        sign_answer::batch(data::<SignData>(body)?.batch_results?, &references, &version()?).ok()?;
    Some(results.items.into_iter().map(Result::ok).collect())
}

/// The only signature in an answer, as [`signatures`].
#[must_use]
pub fn signature(body: &[u8]) -> Option<Vec<u8>> {
    let results = sign_answer::single(data(body)?, &version()?).ok()?;
    results.items.into_iter().next()?.ok()
}

/// What a log line says of a refusal with this body.
#[must_use]
pub fn refusal(body: &[u8]) -> String {
    let refusal = Refusal::of(&answer(StatusCode::BAD_REQUEST, body));
    // What the repeats ask of it.
    let _ = (refusal.is_about_version(), refusal.is_about_size());
    refusal.to_string()
}

/// The token in an answer to a login.
#[must_use]
pub fn login(body: &[u8]) -> Option<String> {
    let envelope: Envelope<IgnoredAny> = answer(StatusCode::OK, body).json().ok()?;
    Some(envelope.auth?.client_token.expose_secret().to_owned())
}

fn data<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    answer(StatusCode::OK, body).json::<Envelope<T>>().ok()?.data
}

fn answer(status: StatusCode, body: &[u8]) -> Answer {
    Answer::new(status, HeaderMap::new(), body.to_vec().into())
}

fn key_name() -> Option<KeyName> {
    "signing".parse().ok()
}

fn version() -> Option<KeyVersion> {
    // The first public key of RFC 8032 §7.1.
    let described = json!({
        "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "creation_time": "2026-01-01T00:00:00Z",
    });
    KeyVersion::parse(&key_name()?, KeyKind::Ed25519, VERSION.to_string(), described).ok()
}
