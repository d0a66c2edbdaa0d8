//! Which failures are asked for again, how often, and what that costs the server.

use std::time::Duration;

use jwtlet_testkit::{Fault, KeyType, TokenPolicy, Vault};
use tokio::time::Instant;

use crate::{
    stream::Stream,
    support::{Running, is_unavailable, now, run_refreshing, settings_for, token},
};

const SIGN: &str = "/v1/transit/sign";
const KEY: &str = "/v1/transit/keys";

/// A signer that reads the key only when it has a reason.
async fn prepare() -> (Vault, Running) {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let auth = token(vault.create_token(&TokenPolicy::signer("signing")));
    let running = run_refreshing(&settings_for(vault.url(), auth), Duration::from_mins(10));
    running.becomes_ready().await;
    (vault, running)
}

pub(crate) fn passing() -> impl Iterator<Item = Fault> {
    [412, 429, 472, 473, 500, 502, 503, 504]
        .into_iter()
        .map(|status| Fault::vault(status, "no"))
        .chain([Fault::Close, Fault::Truncated])
}

#[tokio::test]
async fn what_passes_is_not_noticed() {
    let (vault, running) = prepare().await;
    for fault in passing() {
        vault.faults().next_on_path(2, SIGN, fault);
        running.signs().await;
    }
    vault.faults().next_on_path(1, SIGN, Fault::Garbage);
    running.signs().await;
}

#[tokio::test]
async fn what_does_not_pass_is_tried_three_times() {
    let (vault, running) = prepare().await;
    for fault in passing() {
        vault.faults().next_on_path(3, SIGN, fault.clone());
        assert_eq!(is_unavailable(running.sign().await), None, "{fault:?}");
        running.becomes_ready().await;
    }
}

#[tokio::test]
async fn what_another_try_cannot_help_is_not_tried_again() {
    let (vault, running) = prepare().await;
    for status in [302, 403, 404, 405, 413] {
        vault.faults().next_on_path(1, SIGN, Fault::vault(status, "no"));
        assert!(running.sign().await.is_err(), "{status}");
        running.becomes_ready().await;
        running.signs().await;
    }
}

#[tokio::test]
async fn a_whole_batch_is_repeated_as_one() {
    let (vault, running) = prepare().await;
    vault.faults().set_latency(Duration::from_millis(20));
    vault.faults().next_on_path(4, SIGN, Fault::vault(503, "no"));
    let before = vault.calls_to("transit/sign");
    assert_eq!(running.signs_together(60).await, 60);
    let calls = vault.calls_to("transit/sign") - before;
    // The first call of each lane fails and is made again; the rest is a share for each lane.
    assert!(calls <= 12, "{calls}");
}

#[tokio::test]
async fn the_time_that_a_busy_server_asks_for_is_waited_when_there_is_time() {
    let (vault, running) = prepare().await;
    vault.faults().next_on_path(1, SIGN, Fault::too_many_requests(Duration::from_secs(1)));
    let start = Instant::now();
    running.signs().await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    vault.faults().next_on_path(1, SIGN, Fault::too_many_requests(Duration::from_secs(2)));
    let start = Instant::now();
    assert_eq!(is_unavailable(running.sign().await), Some(Duration::from_secs(2)));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn reading_the_key_is_repeated_too() {
    for fault in passing() {
        let vault = Vault::start().await.unwrap();
        vault.create_key("signing", KeyType::Ed25519).unwrap();
        vault.faults().next_on_path(2, KEY, fault);
        let auth = token(vault.create_token(&TokenPolicy::signer("signing")));
        let running = run_refreshing(&settings_for(vault.url(), auth), Duration::from_mins(10));
        running.becomes_ready().await;
        assert_eq!(vault.calls_to("transit/keys"), 1);
    }
}

#[tokio::test]
async fn a_failure_that_lasts_makes_no_storm_of_readings() {
    let (vault, running) = prepare().await;
    let reads = vault.calls_to("transit/keys");
    let start = Instant::now();
    vault.faults().on_path(SIGN, Fault::vault(500, "no such key version"));
    let stream = Stream::start(&running, 32, now);
    running.is_not_ready_because("with status 500").await;
    jwtlet_testkit::wait_until(|| start.elapsed() > Duration::from_secs(2), Duration::from_secs(5))
        .await
        .unwrap();
    assert!(stream.finish().await.failures.len() > 32);
    let (reads, elapsed) = (vault.calls_to("transit/keys") - reads, start.elapsed());
    // One each 250 ms, and one at once.
    assert!(u128::from(reads) <= elapsed.as_millis() / 250 + 1, "{reads} in {elapsed:?}");
    vault.faults().clear();
    running.becomes_ready().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_no_outage_until_what_is_known_is_old() {
    let (vault, _) = prepare().await;
    let auth = token(vault.create_token(&TokenPolicy::signer("signing")));
    let running = run_refreshing(&settings_for(vault.url(), auth), Duration::from_millis(200));
    running.becomes_ready().await;
    let start = Instant::now();
    let stream = Stream::start(&running, 4, now);
    vault.faults().on_path(KEY, Fault::vault(403, "no"));
    running.is_not_ready_because("was not read for a long time").await;
    assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
    vault.faults().clear();
    running.becomes_ready().await;
    assert!(stream.finish().await.failures.is_empty());
}

#[tokio::test]
async fn a_server_that_restarts_under_load_costs_exchanges_only_then() {
    let (vault, running) = prepare().await;
    let stream = Stream::start(&running, 8, now);
    stream.goes_on(50).await;
    vault.stop().await;
    running.is_not_ready_because("the call failed").await;
    vault.restart().await.unwrap();
    running.becomes_ready().await;
    stream.goes_on(50).await;
    for failure in stream.finish().await.failures {
        assert_eq!(is_unavailable(Err(failure)), None);
    }
}
