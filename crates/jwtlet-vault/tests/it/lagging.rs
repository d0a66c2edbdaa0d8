//! Versions over time: how long they stay published, and nodes that know less than others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use jwtlet_testkit::{Fault, KeyType, TokenPolicy, Vault, wait_until};
use serde_json::{Value, json};

use crate::{
    stream::Stream,
    support::{
        PATIENCE, PUBLISHED_FIRST, Running, TOKEN_TTL, later, now, run_refreshing, settings_for, token,
    },
};

async fn prepare(refresh: Duration) -> (Vault, Running) {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let auth = token(vault.create_token(&TokenPolicy::signer("signing")));
    let running = run_refreshing(&settings_for(vault.url(), auth), refresh);
    running.becomes_ready().await;
    (vault, running)
}

/// Answers of a node that has not heard of the versions after the first, nor of a minimum.
struct Lagging {
    /// Whether every node lags, or every other.
    all: Arc<AtomicBool>,
    given: Arc<AtomicU64>,
}

impl Lagging {
    /// Every other reading goes to a node that is behind.
    fn behind(vault: &Vault, oldest: Value) -> Self {
        let lagging = Self { all: Arc::default(), given: Arc::default() };
        let (all, given) = (Arc::clone(&lagging.all), Arc::clone(&lagging.given));
        let mut turn = 0;
        vault.on_answer(move |_, path, answer| {
            if path.starts_with("transit/keys/") {
                turn += 1;
                if turn % 2 == 0 || all.load(Ordering::Relaxed) {
                    answer["data"]["keys"] = json!({ "1": oldest });
                    answer["data"]["latest_version"] = json!(1);
                    answer["data"]["min_decryption_version"] = json!(1);
                    given.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        lagging
    }

    async fn answers(&self, times: u64) {
        let enough = self.given.load(Ordering::Relaxed) + times;
        wait_until(|| self.given.load(Ordering::Relaxed) >= enough, PATIENCE).await.unwrap();
    }
}

fn first_version(vault: &Vault) -> Value {
    let public_key = vault.public_key("signing", 1).unwrap();
    json!({ "public_key": public_key, "creation_time": now().to_string() })
}

#[tokio::test]
async fn a_version_is_published_until_its_last_token_has_ended() {
    let (vault, running) = prepare(Duration::from_millis(50)).await;
    vault.rotate_key("signing").unwrap();
    running.publishes(&["signing-1", "signing-2"]).await;
    let made: Timestamp = now() - SignedDuration::from_hours(3);
    vault.set_creation_time("signing", 2, made).unwrap();
    running.publishes(&["signing-2"]).await;
    let end = made
        + SignedDuration::try_from(PUBLISHED_FIRST + TOKEN_TTL).unwrap()
        + SignedDuration::from_secs(120);
    assert_eq!(running.published_kids_at(end), ["signing-1", "signing-2"]);
    assert_eq!(running.published_kids_at(end + SignedDuration::from_millis(1)), ["signing-2"]);
}

#[tokio::test]
async fn a_node_that_lags_behind_takes_no_version_back() {
    let (vault, running) = prepare(Duration::from_millis(400)).await;
    let oldest = first_version(&vault);
    vault.rotate_key("signing").unwrap();
    running.publishes(&["signing-1", "signing-2"]).await;
    let lagging = Lagging::behind(&vault, oldest);
    let stream = Stream::start(&running, 4, later);
    let seen = Arc::clone(&lagging.given);
    let watch = wait_until(
        || {
            assert_eq!(running.published_kids(), ["signing-1", "signing-2"]);
            seen.load(Ordering::Relaxed) >= 4
        },
        PATIENCE,
    );
    watch.await.unwrap();
    let tally = stream.finish().await;
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert!(tally.kids.iter().all(|kid| kid == "signing-2"));
}

#[tokio::test]
async fn a_version_that_no_node_lists_any_more_is_given_up() {
    let (vault, running) = prepare(Duration::from_millis(100)).await;
    let oldest = first_version(&vault);
    vault.rotate_key("signing").unwrap();
    running.publishes(&["signing-1", "signing-2"]).await;
    let lagging = Lagging::behind(&vault, oldest);
    lagging.all.store(true, Ordering::Relaxed);
    running.publishes(&["signing-1"]).await;
}

#[tokio::test]
async fn a_node_that_lags_behind_brings_no_retired_version_back() {
    let (vault, running) = prepare(Duration::from_millis(400)).await;
    let oldest = first_version(&vault);
    vault.rotate_key("signing").unwrap();
    vault.set_min_decryption_version("signing", 2).unwrap();
    running.publishes(&["signing-2"]).await;
    let lagging = Lagging::behind(&vault, oldest);
    lagging.answers(1).await;
    let seen = lagging.given.load(Ordering::Relaxed);
    wait_until(
        || {
            assert_eq!(running.published_kids(), ["signing-2"]);
            lagging.given.load(Ordering::Relaxed) >= seen + 3
        },
        PATIENCE,
    )
    .await
    .unwrap();
    assert_eq!(running.signs().await, "signing-2");
}

#[tokio::test]
async fn a_minimum_that_is_lowered_again_brings_its_versions_back() {
    let (vault, running) = prepare(Duration::from_millis(100)).await;
    vault.rotate_key("signing").unwrap();
    vault.set_min_decryption_version("signing", 2).unwrap();
    running.publishes(&["signing-2"]).await;
    vault.set_min_decryption_version("signing", 1).unwrap();
    running.publishes(&["signing-1", "signing-2"]).await;
}

#[tokio::test]
async fn a_key_that_was_made_anew_takes_nothing_over() {
    let (vault, running) = prepare(Duration::from_secs(2)).await;
    vault.rotate_key("signing").unwrap();
    running.publishes(&["signing-1", "signing-2"]).await;
    vault.delete_key("signing");
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    running.publishes(&["signing-1"]).await;
    running.signs_at(later()).await;
}

#[tokio::test]
async fn a_signature_that_lagging_nodes_refuse_is_asked_for_until_one_knows_the_version() {
    let (vault, running) = prepare(Duration::from_mins(10)).await;
    for status in [400, 500] {
        let text = "requested version for signing is higher than the latest key version";
        vault.faults().next_on_path(2, "/v1/transit/sign", Fault::vault(status, text));
        running.signs().await;
    }
}
