//! Batches that are too large for the server, and messages that are so by themselves.

use std::sync::Arc;

use http::Method;
use jwtlet_core::Signer;
use jwtlet_testkit::{Fault, KeyType, OpenBao, OpenBaoBuilder, Vault, VaultBuilder};
use jwtlet_vault::VaultSettings;
use serde_json::json;

use crate::{
    batches::{one_lane, without_token},
    logs::capture,
    support::{Running, is_unavailable, now, run_ready, settings_for, token},
};

/// The first of them is served alone, the others in one batch.
const CALLERS: usize = 41;
const SIGN: &str = "transit/sign";
const NEWS: &str = "Vault refuses larger batches than this";

async fn prepare(builder: VaultBuilder) -> (Vault, Running) {
    let vault = builder.start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let running = run_ready(&one_lane(&vault)).await;
    (vault, running)
}

/// Signs for all, and counts the calls which that takes.
async fn calls(vault: &Vault, running: &Running) -> u64 {
    let before = vault.calls_to(SIGN);
    assert_eq!(running.signs_together(CALLERS).await, CALLERS);
    vault.calls_to(SIGN) - before
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_and_later_ones_are_small_enough() {
    for builder in [
        // Of 4 strings for each message and 8 besides.
        Vault::builder().max_request_json_strings(100),
        Vault::builder().max_request_size(4000),
    ] {
        let (log, _guard) = capture();
        let (vault, running) = prepare(builder).await;
        // One alone; 40, which is refused; twice 20.
        assert_eq!(calls(&vault, &running).await, 4);
        assert_eq!(calls(&vault, &running).await, 3);
        assert_eq!(log.text().matches(NEWS).count(), 1, "{}", log.text());
        assert!(log.text().contains("size=20"), "{}", log.text());
    }
}

#[tokio::test]
async fn halves_are_halved_until_they_are_small_enough() {
    let (log, _guard) = capture();
    let (vault, running) = prepare(Vault::builder().max_request_json_strings(30)).await;
    // One alone; refused are 40, 20 twice and 10 four times; eight times 5.
    assert_eq!(calls(&vault, &running).await, 1 + 1 + 2 + 4 + 8);
    assert_eq!(calls(&vault, &running).await, 1 + 8);
    assert_eq!(log.text().matches(NEWS).count(), 1, "{}", log.text());
}

#[tokio::test]
async fn whatever_the_words_for_too_large_are_they_are_understood() {
    for fault in [
        Fault::status_with_body(413, "<html>413 Request Entity Too Large</html>"),
        Fault::vault(400, "refused JSON input due to high complexity: exceeded maximum number of strings"),
        Fault::vault(400, "failed to parse JSON input: JSON array exceeds allowed element count"),
    ] {
        let (vault, running) = prepare(Vault::builder()).await;
        // For the one that is alone, which is its failure, and for the batch of the others.
        vault.faults().next_on_path(2, "/v1/transit/sign", fault.clone());
        let failed = without_token(running.sign_together(CALLERS).await);
        assert_eq!((failed, vault.calls_to(SIGN)), (vec![0], 2 + 1), "{fault:?}");
    }
}

/// Signs for many, one of whom has a payload of this many bytes, and tells how many of the others and whether that one
/// got a token.
async fn sign_beside(running: &Running, bytes: usize) -> (usize, bool) {
    let payload = json!({ "long": "x".repeat(bytes) }).to_string();
    let signer = Arc::clone(&running.signer);
    // The first is sent alone.
    let first = signer.sign(b"{}", now());
    let odd = async { signer.sign(payload.as_bytes(), now()).await };
    let (first, odd, others) = tokio::join!(first, odd, running.signs_together(CALLERS - 2));
    assert!(first.is_ok());
    let served = odd.is_ok();
    if !served {
        assert_eq!(is_unavailable(odd), None);
    }
    (others, served)
}

#[tokio::test]
async fn a_message_that_is_too_large_by_itself_is_its_callers_failure_alone() {
    let (log, _guard) = capture();
    let (vault, running) = prepare(Vault::builder().max_request_size(16 * 1024)).await;
    for _ in 0..3 {
        assert_eq!(sign_beside(&running, 16 * 1024).await, (CALLERS - 2, false));
        running.becomes_ready().await;
        // Nothing was learnt from it.
        assert_eq!(calls(&vault, &running).await, 2);
    }
    assert_eq!(sign_beside(&running, 4 * 1024).await, (CALLERS - 2, true));
    assert!(!log.text().contains(NEWS), "{}", log.text());
}

#[tokio::test]
async fn a_server_that_refuses_every_size_is_an_outage_that_leaves_nothing_behind() {
    let (vault, running) = prepare(Vault::builder()).await;
    vault.faults().on_path("/v1/transit/sign", Fault::status(413));
    for (_, outcome) in running.sign_together(CALLERS).await {
        assert_eq!(is_unavailable(outcome), None);
    }
    running.is_not_ready_because("with status 413").await;
    vault.faults().clear();
    running.becomes_ready().await;
    assert_eq!(calls(&vault, &running).await, 2);
}

#[tokio::test]
async fn openbao_with_lowered_limits_signs_in_smaller_batches() {
    let lowered: [fn(OpenBaoBuilder) -> OpenBaoBuilder; 2] =
        [|bao| bao.max_request_json_strings(100), |bao| bao.max_request_size(4000)];
    for lower in lowered {
        let (log, _guard) = capture();
        let bao = lower(OpenBao::builder()).start().await.unwrap();
        bao.root(Method::POST, "transit/keys/signing", &json!({ "type": "ed25519" })).await.unwrap();
        let settings = settings_for(bao.url(), token(bao.root_token()));
        let running = run_ready(&VaultSettings { max_in_flight: 1, ..settings }).await;
        for _ in 0..3 {
            assert_eq!(running.signs_together(CALLERS).await, CALLERS);
        }
        assert_eq!(log.text().matches(NEWS).count(), 1, "{}", log.text());
    }
}
