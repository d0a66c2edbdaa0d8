//! Faults of Kubernetes and Vault, and the alerts that tell of them.

use std::time::Duration;

use jwtlet_testkit::{Fault, Kubernetes, Vault, wait_for};

use crate::{
    alerts::provoked,
    harness::{Harness, PATIENCE},
    promql::Prometheus,
};

provoked! {
    kubernetes_is_away: "JwtletKubernetesUnavailable" by kubernetes_unavailable;
    kubernetes_does_not_accept_jwtlet: "JwtletKubernetesRefusesCredentials" by kubernetes_refuses;
    more_reviews_are_needed_than_are_made: "JwtletReviewQueueSaturated" by reviews_queue;
    vault_is_away: "JwtletVaultUnavailable" by vault_unavailable;
    vault_is_sealed: "JwtletVaultSealed" by vault_sealed;
    vault_does_not_accept_jwtlet: "JwtletVaultRefusesCredentials" by vault_refuses;
    the_login_fails: "JwtletVaultTokenFailing" by login_fails;
    the_vault_token_ends: "JwtletVaultTokenExpiring" by token_ends;
    there_is_no_signing_key: "JwtletSigningKeyMissing" by key_missing;
    the_signing_key_cannot_be_read: "JwtletSigningKeyStale" by key_stale;
    the_signing_key_is_never_rotated: "JwtletSigningKeyOld" by key_old;
    replicas_know_different_keys: "JwtletReplicasSignDifferently" by replicas_differ;
}

/// A server that works, and a Prometheus that sees no reason for this alert.
pub(crate) async fn healthy(alert: &str, variables: &[(&str, &str)]) -> (Harness, Prometheus) {
    let server = Harness::start_busy(variables).await;
    let prometheus = silent(alert, &server).await;
    (server, prometheus)
}

pub(crate) async fn silent(alert: &str, server: &Harness) -> Prometheus {
    let prometheus = Prometheus::watch(&[server]).await;
    server.exchange(&[("resource", "acme")]).await;
    let firing = prometheus.firing().await;
    assert!(!firing.iter().any(|name| name == alert), "{firing:?}");
    prometheus
}

impl Harness {
    /// An exchange that fails for a reason of ours.
    pub(crate) async fn exchange_in_vain(&self) {
        let answer = self.exchange(&[("resource", "acme")]).await;
        assert!(answer.status >= 500, "{answer}");
    }

    /// Has one signature fail, after which the key is read anew.
    async fn have_the_key_read(&self) {
        let fault = Fault::vault(403, "permission denied");
        self.vault.faults().next_on_path(1, "/v1/transit/sign/", fault);
        self.exchange_in_vain().await;
    }
}

async fn kubernetes_unavailable(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.kubernetes.stop().await;
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

/// What the runbook sends its reader to.
async fn assert_seen(prometheus: &Prometheus, series: &str) {
    assert!(prometheus.value(series).await > 0.0, "{series}");
}

#[tokio::test]
async fn an_overloaded_api_server_is_told_from_one_that_is_away() {
    let alert = "JwtletKubernetesUnavailable";
    let (server, prometheus) = healthy(alert, &[]).await;
    server.kubernetes.faults().always(Fault::status(429).with_header("retry-after", "1"));
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
    let cause = r#"jwtlet_upstream_failures_total{system="kubernetes",cause="overloaded"}"#;
    assert_seen(&prometheus, cause).await;
    let reason = r#"jwtlet_exchanges_total{outcome="failed",reason="kubernetes_unavailable"}"#;
    assert_seen(&prometheus, reason).await;
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_the_reasons_of_refusals() {
    let (server, prometheus) = healthy("JwtletExchangesRefused", &[]).await;
    let token = || server.kubernetes.token("demo", "connector").audience(crate::harness::EXCHANGE_AUDIENCE);
    for (token, reason) in [
        (token().not_before_in(3_600).mint(), "token_not_yet_valid"),
        (token().expires_in(-3_600).mint(), "token_expired"),
    ] {
        let answer = server.exchange_token(&token, &[("resource", "acme")]).await;
        assert_eq!(answer.status, 400, "{answer}");
        let series = format!("jwtlet_exchanges_total{{outcome=\"refused\",reason=\"{reason}\"}}");
        assert_seen(&prometheus, &series).await;
    }
}

async fn kubernetes_refuses(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.kubernetes.forbid_reviews(true);
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn reviews_queue(alert: &str) {
    let bounds = [("JWTLET__K8S__MAX_CONCURRENT_REVIEWS", "1"), ("JWTLET__K8S__MAX_WAITING_REVIEWS", "1")];
    let (server, prometheus) = healthy(alert, &bounds).await;
    server.kubernetes.faults().always(Fault::Hang);
    let exchange = || server.exchange(&[("resource", "acme")]);
    let (a, b, c) = tokio::join!(exchange(), exchange(), exchange());
    assert_eq!([a.status, b.status, c.status], [503; 3]);
    prometheus.wait_for(alert).await;
}

async fn vault_unavailable(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.vault.stop().await;
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn vault_sealed(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.vault.seal(true);
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn vault_refuses(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.vault.revoke_token(&std::fs::read_to_string(server.files.path().join("vault-token")).unwrap());
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn login_fails(alert: &str) {
    let (server, _certificate) = Harness::start_with_everything().await;
    let prometheus = silent(alert, &server).await;
    // The token is refused, and there is no other.
    server.vault.delete_kubernetes_role("jwtlet");
    server.vault.faults().on_path("/v1/transit/", Fault::vault(403, "permission denied"));
    server.vault.faults().on_path("/v1/auth/kubernetes/login", Fault::vault(400, "invalid role name"));
    server.map(crate::harness::CONNECTOR, "acme", &[], &[]).await;
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn token_ends(alert: &str) {
    let (server, _certificate) = Harness::start_with_everything().await;
    let prometheus = silent(alert, &server).await;
    // The login was for an hour, and nothing has renewed it when only three minutes are left.
    prometheus.wait_for_after(alert, Duration::from_mins(57)).await;
    let (renewed, _certificate) = Harness::start_with_everything().await;
    silent(alert, &renewed).await;
}

async fn key_missing(alert: &str) {
    let vault = Vault::start().await.unwrap();
    vault.faults().on_path("/v1/transit/", Fault::vault(404, "no handler for route"));
    let server = Harness::launch(Kubernetes::start().await.unwrap(), vault, &[]).await;
    let prometheus = Prometheus::watch(&[&server]).await;
    prometheus.wait_for(alert).await;
    server.vault.faults().clear();
    server.wait_until_ready().await;
    silent(alert, &server).await;
}

async fn key_stale(alert: &str) {
    const READ: &str = "jwtlet_signing_key_read_timestamp_seconds";
    let (server, prometheus) = healthy(alert, &[]).await;
    let read_at = prometheus.value(READ).await;
    server.vault.faults().on_path("/v1/transit/keys/", Fault::status(503));
    server.have_the_key_read().await;
    let tried = async || prometheus.value("jwtlet_vault_upkeep_failures_total").await > 0.0;
    wait_for(tried, PATIENCE).await.unwrap();
    // However often it is tried, the time does not move on, until two minutes are over.
    assert!((prometheus.value(READ).await - read_at).abs() < 0.1);
    prometheus.wait_for_after(alert, Duration::from_secs(130)).await;
    server.vault.faults().clear();
    wait_for(async || prometheus.value(READ).await > read_at + 0.1, PATIENCE).await.unwrap();
}

async fn key_old(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    // As if the server had gone on for 91 days.
    prometheus.wait_for_after(alert, Duration::from_hours(91 * 24)).await;
    let before = prometheus.value(r#"jwtlet_signing_key_created_timestamp_seconds{role="newest"}"#).await;
    server.vault.rotate_key(crate::harness::KEY).unwrap();
    server.have_the_key_read().await;
    let moved = async || {
        prometheus.value(r#"jwtlet_signing_key_created_timestamp_seconds{role="newest"}"#).await > before
    };
    wait_for(moved, PATIENCE).await.unwrap();
}

async fn replicas_differ(alert: &str) {
    let server = Harness::start_busy(&[]).await;
    let other = Harness::launch(Kubernetes::start().await.unwrap(), server.vault.clone(), &[]).await;
    other.wait_until_ready().await;
    let prometheus = Prometheus::watch(&[&server, &other]).await;
    assert_eq!(prometheus.firing().await, Vec::<String>::new());
    server.vault.rotate_key(crate::harness::KEY).unwrap();
    server.have_the_key_read().await;
    prometheus.wait_for(alert).await;
}
