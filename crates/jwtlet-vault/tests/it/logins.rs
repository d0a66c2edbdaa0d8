//! Logins and renewals that fail, and what callers notice of it.

use std::{fs, time::Duration};

use jwtlet_testkit::{Fault, Kubernetes, wait_until};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    backend::{Backend, Role},
    logs::capture,
    repeats::passing,
    stream::Stream,
    support::{PATIENCE, Running, is_misconfigured, is_unavailable, login, now, run_refreshing, settings},
    testkit::Testkit,
};

const SIGN: &str = "/v1/transit/sign";
const LOGIN: &str = "/v1/auth/kubernetes/login";
const RENEWAL: &str = "/v1/auth/token/renew-self";

struct Cluster {
    vault: jwtlet_testkit::Vault,
    running: Running,
    /// It has the token file, and the API server that reviews it.
    _rest: (TempDir, Kubernetes),
}

/// A signer that logs in for so long and reads the key only when it has a reason; before the first login these faults
/// are planned.
async fn prepare_with(ttl: Duration, faults: impl Fn(&jwtlet_testkit::Faults)) -> Cluster {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("jwtlet", "signer");
    let role = Role { name: "jwtlet", ttl, max_ttl: None };
    let backend = Testkit::start_with_login(&kubernetes, role).await;
    backend.create_key("ed25519").await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, kubernetes.token("jwtlet", "signer").mint()).unwrap();
    faults(backend.vault.faults());
    let running = run_refreshing(&settings(&backend, login("jwtlet", file)), Duration::from_mins(10));
    running.becomes_ready().await;
    Cluster { vault: backend.vault, running, _rest: (directory, kubernetes) }
}

async fn prepare(ttl: Duration) -> Cluster {
    prepare_with(ttl, |_| {}).await
}

impl Cluster {
    fn logins(&self) -> u64 {
        self.vault.calls_to("auth/kubernetes/login")
    }

    /// The next signature is refused, as if the token had been revoked.
    fn refuse_token_once(&self) {
        self.vault.faults().next_on_path(1, SIGN, Fault::vault(403, "permission denied"));
    }
}

#[tokio::test]
async fn a_renewal_that_fails_in_passing_is_repeated_and_needs_no_login() {
    let (log, _guard) = capture();
    let cluster = prepare(Duration::from_secs(2)).await;
    let stream = Stream::start(&cluster.running, 1, now);
    let faults = [429, 500, 502, 503].map(|status| Fault::vault(status, "no")).into_iter();
    for (fault, renewals) in faults.chain([Fault::Close]).zip(1..) {
        cluster.vault.faults().next_on_path(2, RENEWAL, fault);
        let renewed = || cluster.vault.calls_to("auth/token/renew-self") == renewals;
        wait_until(renewed, PATIENCE).await.unwrap();
    }
    assert!(stream.finish().await.failures.is_empty());
    assert!(!log.text().contains("was not renewed"), "{}", log.text());
    assert_eq!(cluster.logins(), 1);
}

#[tokio::test]
async fn a_renewal_that_keeps_failing_is_followed_by_a_login() {
    let cluster = prepare(Duration::from_secs(2)).await;
    cluster.vault.faults().on_path(RENEWAL, Fault::vault(500, "past the max TTL, cannot renew"));
    let stream = Stream::start(&cluster.running, 1, now);
    wait_until(|| cluster.logins() >= 3, PATIENCE).await.unwrap();
    assert!(stream.finish().await.failures.is_empty());
}

#[tokio::test]
async fn a_first_login_that_fails_in_passing_is_not_noticed() {
    for fault in passing() {
        let (log, _guard) = capture();
        let cluster =
            prepare_with(Duration::from_hours(1), |faults| faults.next_on_path(2, LOGIN, fault.clone()));
        let cluster = cluster.await;
        assert_eq!(cluster.logins(), 1);
        assert!(!log.text().contains("Vault cannot sign"), "{}", log.text());
    }
}

#[tokio::test]
async fn a_login_that_an_exchange_waits_for_is_repeated_within_its_deadline() {
    for fault in passing() {
        let cluster = prepare(Duration::from_hours(1)).await;
        // The token stays refused until there is another one.
        cluster.vault.faults().next_on_path(3, SIGN, Fault::vault(403, "permission denied"));
        cluster.vault.faults().next_on_path(2, LOGIN, fault.clone());
        cluster.running.signs().await;
        assert_eq!(cluster.logins(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_login_that_keeps_failing_is_an_outage_within_the_deadline() {
    for fault in passing().chain([Fault::Hang]) {
        let cluster = prepare(Duration::from_hours(1)).await;
        cluster.vault.faults().on_path(SIGN, Fault::vault(403, "permission denied"));
        cluster.vault.faults().on_path(LOGIN, fault.clone());
        let start = Instant::now();
        assert_eq!(is_unavailable(cluster.running.sign().await), None, "{fault:?}");
        assert!(start.elapsed() < Duration::from_millis(2500), "{fault:?}: {:?}", start.elapsed());
        cluster.vault.faults().clear();
        cluster.running.becomes_ready().await;
        cluster.running.signs().await;
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_operators_matter() {
    for status in [400, 403, 404] {
        let cluster = prepare(Duration::from_hours(1)).await;
        cluster.refuse_token_once();
        cluster.vault.faults().next_on_path(1, LOGIN, Fault::vault(status, "no"));
        is_misconfigured(&cluster.running.sign().await);
    }
}

#[tokio::test]
async fn a_pause_that_vault_asks_for_is_kept_by_all_logins() {
    let cluster = prepare(Duration::from_hours(1)).await;
    cluster.vault.faults().on_path(SIGN, Fault::vault(403, "permission denied"));
    cluster.vault.faults().next_on_path(1, LOGIN, Fault::too_many_requests(Duration::from_secs(30)));
    for _ in 0..5 {
        let wait = is_unavailable(cluster.running.sign().await).unwrap();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
    }
    assert_eq!(cluster.logins(), 1, "the login would have succeeded");
}

#[tokio::test]
async fn a_short_pause_that_vault_asks_for_is_waited_for() {
    let cluster = prepare(Duration::from_hours(1)).await;
    cluster.vault.faults().next_on_path(2, SIGN, Fault::vault(403, "permission denied"));
    cluster.vault.faults().next_on_path(1, LOGIN, Fault::too_many_requests(Duration::from_secs(1)));
    let start = Instant::now();
    cluster.running.signs().await;
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(cluster.logins(), 2);
}

#[tokio::test]
async fn a_pause_before_a_renewal_leaves_the_token_in_use() {
    let cluster = prepare(Duration::from_secs(3)).await;
    cluster.vault.faults().next_on_path(1, RENEWAL, Fault::too_many_requests(Duration::from_secs(1)));
    let stream = Stream::start(&cluster.running, 1, now);
    wait_until(|| cluster.vault.calls_to("auth/token/renew-self") >= 2, PATIENCE).await.unwrap();
    assert!(stream.finish().await.failures.is_empty());
    assert_eq!(cluster.logins(), 1);
}
