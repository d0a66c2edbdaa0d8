//! Clients that exchange one token after the other, and judge each answer.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    ledger::{ISSUED_WHILE_HEALTHY, Ledger, Moment},
    random::Random,
    world::{AUDIENCE, CLIENTS, ISSUER, World, client, context},
};

/// Both timeouts of the server, and what a busy machine adds.
const LONGEST_ANSWER: Duration = Duration::from_secs(8);

/// Exchanges until told to stop.
pub(crate) async fn work(
    world: Arc<World>,
    ledger: Arc<Ledger>,
    mut random: Random,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let index = random.below(CLIENTS);
        if let Err(why) = exchange(&world, &ledger, index).await {
            ledger.blame(&why);
        }
        // A client that lets the others have a turn: the machine is shared with all of them.
        sleep(random.millis(1, 6)).await;
    }
}

/// One exchange; an error is an answer that must not be.
async fn exchange(world: &World, ledger: &Ledger, index: usize) -> Result<(), String> {
    let (start, started) = (ledger.now(), Instant::now());
    let answer = world.exchange(index).await.map_err(|error| format!("no answer: {error:?}"))?;
    let (status, retry_after) = (answer.status(), answer.headers().get(RETRY_AFTER).cloned());
    let body = answer.text().await.map_err(|error| format!("half an answer: {error:?}"))?;
    let (end, took) = (ledger.now(), started.elapsed());
    ledger.took(took);
    if took > LONGEST_ANSWER {
        return Err(format!("{status} after {took:?}"));
    }
    if status == StatusCode::OK {
        ledger.count_one("issued");
        if ledger.healthy_between(start, end) {
            ledger.count_one(ISSUED_WHILE_HEALTHY);
        }
        return verify(world, ledger, index, &body, start).await;
    }
    ledger.count_one(&format!("answered {}", status.as_u16()));
    if ledger.healthy_between(start, end) {
        return Err(format!("{status} after {took:?} while both systems are healthy: {body}"));
    }
    let error: Value = serde_json::from_str(&body).unwrap_or_default();
    let retry_after: Option<u64> = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    match (status.as_u16(), error["error"].as_str(), retry_after) {
        (503, Some("temporarily_unavailable"), Some(1..=300)) => Ok(()),
        (500, Some("server_error"), _) if ledger.refusal_between(start, end) => Ok(()),
        _ => Err(format!("{status}, Retry-After {retry_after:?}: {body}")),
    }
}

/// Verifies a token with the keys that are published right after it was issued.
async fn verify(
    world: &World,
    ledger: &Ledger,
    index: usize,
    body: &str,
    start: Moment,
) -> Result<(), String> {
    let keys = world.published_keys().await.map_err(|error| format!("no keys: {error:?}"))?;
    let answer: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
    let token = answer["access_token"].as_str().unwrap_or_default();
    let header = decode_header(token).map_err(|error| format!("{error}: {body}"))?;
    let kid = header.kid.unwrap_or_default();
    let Some(key) = keys.find(&kid) else {
        if Ledger::retired_between(start, ledger.now()) {
            ledger.count_one("tokens of a version retired meanwhile");
            return Ok(());
        }
        let published: Vec<_> = keys.keys.iter().filter_map(|key| key.common.key_id.as_deref()).collect();
        return Err(format!("a token with the kid {kid}, published are {published:?}"));
    };
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "nbf", "sub"]);
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let decoded = decode::<Map<String, Value>>(token, &key, &validation);
    let claims = decoded.map_err(|error| format!("a token of {kid} does not verify: {error}"))?.claims;
    if claims["sub"] != context(index) || claims["act"]["sub"] != client(index) {
        return Err(format!("client {index} got the token of another: {claims:?}"));
    }
    if !claims["jti"].as_str().is_some_and(|id| ledger.is_new(id)) {
        return Err(format!("a token without an id of its own: {claims:?}"));
    }
    ledger.count_one("verified");
    Ok(())
}
