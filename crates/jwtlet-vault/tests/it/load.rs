//! What happens to a server while many callers sign, and what they may notice of it.

use std::{collections::BTreeSet, fs, time::Duration};

use http::Method;
use jwtlet_core::UpstreamError;
use jwtlet_testkit::{Kubernetes, wait_for};
use jwtlet_vault::VaultAuth;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    backend::{Backend, Quota, Rights, Role},
    stream::{Stream, Tally},
    support::{PATIENCE, Running, is_unavailable, later, login, now, run_ready, settings, token},
};

const CALLERS: usize = 8;

async fn prepare<B: Backend>() -> (B, Running) {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let auth = token(backend.token(Rights::Signer).await);
    let running = run_ready(&settings(&backend, auth)).await;
    (backend, running)
}

fn nothing_failed(tally: &Tally) {
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
}

pub(crate) async fn tokens_verify_with_the_keys_published_at_their_issuance_whatever_happens_to_the_key<
    B: Backend,
>() {
    let (backend, running) = prepare::<B>().await;
    // For these callers every version is old enough to sign as soon as it is known.
    let stream = Stream::start(&running, CALLERS, later);
    // The other signer has the time of today, when none is.
    let other = run_ready(&settings(&backend, token(backend.root_token()))).await;
    let today = Stream::start(&other, CALLERS, now);
    for version in 2..=6 {
        backend.rotate().await;
        let kids: Vec<_> = (1..=version).map(|number| format!("signing-{number}")).collect();
        running.publishes(&kids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        stream.goes_on(50).await;
    }
    backend.configure(json!({ "min_encryption_version": 3 })).await;
    wait_for(async || other.signs().await == "signing-3", PATIENCE).await.unwrap();
    stream.goes_on(50).await;
    today.goes_on(50).await;
    let (newest, today) = (stream.finish().await, today.finish().await);
    nothing_failed(&newest);
    nothing_failed(&today);
    let kinds =
        |tally: Tally| tally.kids.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let newest = kinds(newest);
    assert!(newest.len() > 1 && newest.last().is_some_and(|kid| kid == "signing-6"), "{newest:?}");
    // When none is old enough it is the oldest of those that may sign.
    assert_eq!(kinds(today), ["signing-1", "signing-3"]);
}

pub(crate) async fn a_retired_version_is_followed_at_once_by_the_next<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.rotate().await;
    running.publishes(&["signing-1", "signing-2"]).await;
    let stream = Stream::start(&running, CALLERS, now);
    stream.goes_on(100).await;
    backend.configure(json!({ "min_decryption_version": 2 })).await;
    running.publishes(&["signing-2"]).await;
    stream.goes_on(100).await;
    let tally = stream.finish().await;
    nothing_failed(&tally);
    assert_eq!(running.signs().await, "signing-2");
}

pub(crate) async fn a_trimmed_key_goes_on_signing<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    let stream = Stream::start(&running, CALLERS, later);
    backend.rotate().await;
    backend.rotate().await;
    backend.configure(json!({ "min_decryption_version": 3, "min_encryption_version": 3 })).await;
    let trim = json!({ "min_available_version": 3 });
    backend.root(Method::POST, "transit/keys/signing/trim", trim).await;
    running.publishes(&["signing-3"]).await;
    stream.goes_on(100).await;
    nothing_failed(&stream.finish().await);
    assert_eq!(running.signs().await, "signing-3");
}

pub(crate) async fn a_token_that_is_replaced_and_revoked_costs_no_exchange<B: Backend>() {
    let backend = B::start().await;
    backend.create_key("ed25519").await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    let mut last = backend.token(Rights::Signer).await;
    fs::write(&file, &last).unwrap();
    let running = run_ready(&settings(&backend, VaultAuth::TokenFile(file.clone()))).await;
    let stream = Stream::start(&running, CALLERS, now);
    for _ in 0..3 {
        let next = backend.token(Rights::Signer).await;
        fs::write(directory.path().join("next"), &next).unwrap();
        fs::rename(directory.path().join("next"), &file).unwrap();
        backend.revoke(&last).await;
        stream.goes_on(50).await;
        last = next;
    }
    nothing_failed(&stream.finish().await);
}

pub(crate) async fn a_login_that_is_revoked_costs_no_exchange<B: Backend>() {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    kubernetes.create_service_account("jwtlet", "signer");
    let role = Role { name: "jwtlet", ttl: Duration::from_hours(1), max_ttl: None };
    let backend = B::start_with_login(&kubernetes, role).await;
    backend.create_key("ed25519").await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, kubernetes.token("jwtlet", "signer").mint()).unwrap();
    let running = run_ready(&settings(&backend, login("jwtlet", file))).await;
    let stream = Stream::start(&running, CALLERS, now);
    stream.goes_on(50).await;
    backend.refuse_login_token().await;
    stream.goes_on(100).await;
    nothing_failed(&stream.finish().await);
}

pub(crate) async fn a_server_that_is_sealed_for_a_while_costs_exchanges_only_then<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    let before = Stream::start(&running, CALLERS, now);
    before.goes_on(100).await;
    nothing_failed(&before.finish().await);
    let during = Stream::start(&running, CALLERS, now);
    during.goes_on(20).await;
    backend.seal().await;
    running.is_not_ready_because("with status 503").await;
    assert_eq!(running.published_kids(), ["signing-1"]);
    backend.unseal().await;
    running.becomes_ready().await;
    during.goes_on(100).await;
    for failure in during.finish().await.failures {
        assert!(matches!(failure, UpstreamError::Unavailable { .. }), "{failure:?}");
    }
    let after = Stream::start(&running, CALLERS, now);
    after.goes_on(100).await;
    nothing_failed(&after.finish().await);
}

/// Uses up what a quota lets through.
async fn exhaust(running: &Running) -> Option<Duration> {
    loop {
        let outcome = running.sign().await;
        if outcome.is_err() {
            return is_unavailable(outcome);
        }
    }
}

pub(crate) async fn a_quota_is_passed_on_when_the_server_says_how_long<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.set_quota(Quota { seconds: 60, says_so: true }).await;
    let wait = exhaust(&running).await.unwrap();
    assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(61), "{wait:?}");
    backend.lift_quota().await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_quota_without_a_time_is_an_outage_without_advice<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.set_quota(Quota { seconds: 60, says_so: false }).await;
    assert_eq!(exhaust(&running).await, None);
    running.is_not_ready_because("with status 429").await;
    backend.lift_quota().await;
    running.becomes_ready().await;
    running.signs().await;
}

pub(crate) async fn a_quota_is_waited_for_when_there_is_time<B: Backend>() {
    let (backend, running) = prepare::<B>().await;
    backend.set_quota(Quota { seconds: 1, says_so: true }).await;
    let start = Instant::now();
    running.signs().await;
    running.signs().await;
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}
