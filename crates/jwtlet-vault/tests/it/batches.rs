//! Batches whose answers are wrong in some way, and callers that do not wait for theirs.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwtlet_core::{Signer, UpstreamError, jws::CompactJws};
use jwtlet_testkit::{Fault, KeyType, TokenPolicy, Vault, wait_until};
use jwtlet_vault::{VaultSettings, VerifySignatures};
use serde_json::{Value, json};
use tokio::{
    task::{JoinSet, yield_now},
    time::Instant,
};

use crate::{
    logs::capture,
    support::{PATIENCE, Running, is_unavailable, now, run_ready, settings_for, token},
};

const CALLERS: usize = 40;

/// One call at a time: the first caller is served alone, all others in one batch.
pub(crate) fn one_lane(vault: &Vault) -> VaultSettings {
    let vault_token = vault.create_token(&TokenPolicy::signer("signing"));
    VaultSettings { max_in_flight: 1, ..settings_for(vault.url(), token(vault_token)) }
}

async fn prepare_with(verify_signatures: VerifySignatures) -> (Vault, Running) {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let running = run_ready(&VaultSettings { verify_signatures, ..one_lane(&vault) }).await;
    vault.faults().set_latency(Duration::from_millis(20));
    (vault, running)
}

async fn prepare() -> (Vault, Running) {
    prepare_with(VerifySignatures::Sampled).await
}

/// Changes the results of the next so many batches.
fn tamper(vault: &Vault, mut batches: usize, change: impl Fn(&mut Vec<Value>) + Send + 'static) {
    vault.clear_hooks();
    vault.on_answer(move |_, path, answer| {
        if path.starts_with("transit/sign/")
            && batches > 0
            && let Some(results) = answer["data"]["batch_results"].as_array_mut()
        {
            batches -= 1;
            change(results);
        }
    });
}

/// The callers that did not get a token; the tokens of the others are theirs and good.
pub(crate) fn without_token(outcomes: Vec<(usize, Result<CompactJws, UpstreamError>)>) -> Vec<usize> {
    let failed = outcomes.into_iter().filter_map(|(caller, outcome)| match outcome {
        Ok(_) => None,
        failure => {
            assert_eq!(is_unavailable(failure), None);
            Some(caller)
        }
    });
    failed.collect()
}

/// One bit of the signature is another one.
fn corrupt(signature: &mut Value) {
    let (prefix, encoded) = signature.as_str().unwrap().rsplit_once(':').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    bytes[40] ^= 1;
    *signature = json!(format!("{prefix}:{}", URL_SAFE_NO_PAD.encode(bytes)));
}

fn swap_references(results: &mut [Value]) {
    let reference = results[0]["reference"].take();
    results[0]["reference"] = results[1]["reference"].take();
    results[1]["reference"] = reference;
}

/// What is wrong, and how the results become so.
type Wrong = (&'static str, fn(&mut Vec<Value>));

const WRONG_AS_A_WHOLE: [Wrong; 7] = [
    ("swapped references", |results| swap_references(results)),
    ("too short", |results| drop(results.pop())),
    ("too long", |results| results.push(results[0].clone())),
    ("empty", Vec::clear),
    ("reordered", |results| results.reverse()),
    ("references of another batch", |results| {
        for (index, result) in results.iter_mut().enumerate() {
            result["reference"] = json!(format!("ffff.{index}"));
        }
    }),
    ("all corrupted", |results| results.iter_mut().for_each(|result| corrupt(&mut result["signature"]))),
];

#[tokio::test]
async fn nobody_gets_anything_of_an_answer_that_is_wrong_as_a_whole() {
    for (what, change) in WRONG_AS_A_WHOLE {
        let (vault, running) = prepare().await;
        tamper(&vault, usize::MAX, change);
        let outcomes = running.sign_together(CALLERS).await;
        assert_eq!(without_token(outcomes), (1..CALLERS).collect::<Vec<_>>(), "{what}");
        running.is_not_ready_because("cannot be used").await;
        vault.clear_hooks();
        running.becomes_ready().await;
        assert_eq!(running.signs_together(CALLERS).await, CALLERS);
    }
}

#[tokio::test]
async fn an_answer_that_is_wrong_as_a_whole_is_asked_for_once_more() {
    for (what, change) in WRONG_AS_A_WHOLE {
        let (vault, running) = prepare().await;
        let before = vault.calls_to("transit/sign");
        tamper(&vault, 1, change);
        assert_eq!(running.signs_together(CALLERS).await, CALLERS, "{what}");
        assert_eq!(vault.calls_to("transit/sign") - before, 3, "{what}");
    }
}

#[tokio::test]
async fn results_without_references_are_all_verified() {
    let (vault, running) = prepare().await;
    let strip = |results: &mut Vec<Value>| {
        for result in results {
            result.as_object_mut().unwrap().remove("reference");
        }
    };
    let before = vault.calls_to("transit/sign");
    tamper(&vault, usize::MAX, strip);
    assert_eq!(running.signs_together(CALLERS).await, CALLERS);
    assert_eq!(vault.calls_to("transit/sign") - before, 2);
    tamper(&vault, usize::MAX, move |results| {
        strip(results);
        results.swap(3, 4);
    });
    // The two get theirs on the second try only if that is in order: now they are alone and swapped again, or not.
    let failed = without_token(running.sign_together(CALLERS).await);
    assert!(failed.is_empty() || failed == [4, 5], "{failed:?}");
}

#[tokio::test]
async fn one_bad_item_fails_its_own_caller_only() {
    let bad: [Wrong; 5] = [
        ("another version", |results| {
            let text = results[6]["signature"].as_str().unwrap().replace("vault:v1:", "vault:v2:");
            results[6]["signature"] = json!(text);
        }),
        ("no signature", |results| results[6]["signature"] = Value::Null),
        ("a short signature", |results| results[6]["signature"] = json!("vault:v1:AAAA")),
        ("a corrupted signature beside a bad one", |results| {
            corrupt(&mut results[6]["signature"]);
            results[7]["signature"] = json!("no");
        }),
        ("an error", |results| results[6] = error_for(&results[6], "unable to decode input as base64")),
    ];
    for (what, change) in bad {
        let (vault, running) = prepare().await;
        tamper(&vault, 1, change);
        let before = vault.calls_to("transit/sign");
        let failed = without_token(running.sign_together(CALLERS).await);
        let calls = vault.calls_to("transit/sign") - before;
        match what {
            // What Vault does not sign it would not sign the next time.
            "an error" => assert_eq!((failed, calls), (vec![7], 2)),
            _ => assert_eq!((failed, calls), (vec![], 3), "{what}"),
        }
    }
}

fn error_for(result: &Value, text: &str) -> Value {
    json!({ "error": text, "key_version": 0, "reference": result["reference"] })
}

#[tokio::test]
async fn a_signature_that_stays_bad_fails_its_own_caller_only() {
    let (vault, running) = prepare_with(VerifySignatures::Always).await;
    vault.on_answer(|_, path, answer| {
        let data = &mut answer["data"];
        if !path.starts_with("transit/sign/") {
        } else if let Some(results) = data["batch_results"].as_array_mut() {
            corrupt(&mut results[6]["signature"]);
        } else if data["signature"].is_string() {
            corrupt(&mut data["signature"]);
        }
    });
    assert_eq!(without_token(running.sign_together(CALLERS).await), [0, 7]);
}

#[tokio::test]
async fn an_item_of_a_version_that_the_node_does_not_know_is_asked_for_again() {
    for text in [
        "requested version for signing is higher than the latest key version",
        "requested version for signing is less than the minimum encryption key version",
        "no such key version",
    ] {
        let (vault, running) = prepare().await;
        let reads = vault.calls_to("transit/keys");
        tamper(&vault, 2, move |results| {
            for result in results {
                *result = error_for(result, text);
            }
        });
        assert_eq!(running.signs_together(CALLERS).await, CALLERS);
        assert!(vault.calls_to("transit/keys") > reads);
    }
}

#[tokio::test]
async fn a_server_without_batches_signs_one_by_one_and_that_is_said_once() {
    let (log, _guard) = capture();
    let vault = Vault::builder().without_batches().start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let running = run_ready(&one_lane(&vault)).await;
    vault.faults().set_latency(Duration::from_millis(5));
    let before = vault.calls_to("transit/sign");
    assert_eq!(running.signs_together(CALLERS).await, CALLERS);
    assert_eq!(running.signs_together(CALLERS).await, CALLERS);
    // Of the batch that was tried nothing is used.
    assert_eq!(vault.calls_to("transit/sign") - before, 2 * CALLERS as u64 + 1);
    assert_eq!(log.text().matches("does not sign in batches").count(), 1, "{}", log.text());
}

#[tokio::test]
async fn callers_that_would_wait_too_long_are_turned_away_at_once() {
    const WAITING: usize = 4096;
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let patient = VaultSettings { request_timeout: Duration::from_mins(1), ..one_lane(&vault) };
    let running = run_ready(&patient).await;
    vault.faults().set_latency(Duration::from_secs(2));
    let mut callers = JoinSet::new();
    for _ in 0..WAITING + 51 {
        let signer = Arc::clone(&running.signer);
        callers.spawn(async move { signer.sign(b"{}", now()).await });
    }
    for _ in 0..50 {
        let turned_away = callers.join_next().await.unwrap().unwrap();
        assert_eq!(is_unavailable(turned_away), Some(Duration::from_secs(1)));
    }
    vault.faults().clear();
    for outcome in callers.join_all().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[tokio::test]
async fn everyone_waits_for_the_own_deadline_only() {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let impatient = VaultSettings { request_timeout: Duration::from_millis(300), ..one_lane(&vault) };
    let running = run_ready(&impatient).await;
    vault.faults().on_path("/v1/transit/sign", Fault::Hang);
    let start = Instant::now();
    assert_eq!(without_token(running.sign_together(CALLERS).await).len(), CALLERS);
    let elapsed = start.elapsed();
    assert!((300..1500).contains(&elapsed.as_millis()), "{elapsed:?}");
    vault.faults().clear();
    running.becomes_ready().await;
    assert_eq!(running.signs_together(CALLERS).await, CALLERS);
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_the_server_and_all_who_wait_are_served_by_its_successor() {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let patient = VaultSettings { request_timeout: Duration::from_mins(1), ..one_lane(&vault) };
    let running = run_ready(&patient).await;
    vault.faults().on_path("/v1/transit/sign", Fault::Hang);
    let start = Instant::now();
    let callers = running.sign_together(CALLERS);
    let restart = async {
        wait_until(|| vault.faults().hanging() == 1, PATIENCE).await.unwrap();
        vault.faults().clear();
        vault.stop().await;
        vault.restart().await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(callers, restart);
    assert!(without_token(outcomes).is_empty());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nobody_along_and_costs_no_signature() {
    let (vault, running) = prepare().await;
    vault.faults().set_latency(Duration::from_millis(200));
    let before = vault.signatures();
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let signer = Arc::clone(&running.signer);
            tokio::spawn(async move { signer.sign(b"{}", now()).await })
        })
        .collect();
    // One thread: now the first is under way and the others wait.
    for _ in 0..10 {
        yield_now().await;
    }
    let gone: Vec<_> = callers.drain(..10).collect();
    for caller in gone {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    for caller in callers {
        running.verify(&caller.await.unwrap().unwrap());
    }
    assert_eq!(vault.signatures() - before, 31);
}
