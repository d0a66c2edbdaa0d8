//! How many calls signatures cost.

use std::{sync::Arc, time::Duration};

use jwtlet_core::Signer;
use jwtlet_testkit::{KeyType, TokenPolicy, Vault, delay};

use crate::support::{Running, now, run_refreshing, settings_for, token};

const SIGNATURES: u64 = 64 * 50;

async fn prepare() -> (Vault, Running) {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let auth = token(vault.create_token(&TokenPolicy::signer("signing")));
    let running = run_refreshing(&settings_for(vault.url(), auth), Duration::from_mins(10));
    running.becomes_ready().await;
    vault.faults().set_latency(Duration::from_millis(2));
    (vault, running)
}

#[tokio::test]
async fn many_callers_share_their_calls() {
    let (vault, running) = prepare().await;
    let (calls, reads) = (vault.calls_to("transit/sign"), vault.calls_to("transit/keys"));
    let callers = (0..64).map(|_| {
        let signer = Arc::clone(&running.signer);
        tokio::spawn(async move {
            for _ in 0..SIGNATURES / 64 {
                signer.sign(b"{}", now()).await.unwrap();
                // The way to a client and back, without which nobody who was answered is ever away.
                delay(Duration::from_micros(500)).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let calls = vault.calls_to("transit/sign") - calls;
    assert!(calls * 10 <= SIGNATURES, "{calls} calls for {SIGNATURES} signatures");
    assert_eq!(vault.calls_to("transit/keys"), reads);
}

#[tokio::test]
async fn a_caller_alone_makes_one_call_for_each() {
    let (vault, running) = prepare().await;
    let before = vault.calls_to("transit/sign");
    vault.on_answer(|_, path, answer| {
        if path.starts_with("transit/sign/") {
            assert!(answer["data"]["batch_results"].is_null(), "{answer}");
        }
    });
    for _ in 0..20 {
        running.signs().await;
    }
    assert_eq!(vault.calls_to("transit/sign") - before, 20);
}
