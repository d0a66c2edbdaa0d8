//! What alerts tell of jwtlet itself: exchanges, queues, readiness, the process.

use std::time::{Duration, SystemTime};

use jwtlet_testkit::Fault;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    alerts::provoked,
    exposition::certify,
    harness::Harness,
    neighbours::healthy,
    program::{Neighbours, Program, address, ready},
    promql::{Prometheus, client},
};

provoked! {
    a_replica_is_not_ready: "JwtletNotReady" by not_ready;
    exchanges_fail: "JwtletExchangesFailing" by exchanges_fail_of_ours;
    exchanges_are_refused: "JwtletExchangesRefused" by refused;
    exchanges_are_slow: "JwtletLatencyHigh" by slow;
    more_signatures_are_needed_than_are_made: "JwtletSigningQueueSaturated" by signatures_queue;
    more_clients_connect_than_may: "JwtletConnectionsTurnedAway" by turned_away;
    the_certificate_is_not_renewed: "JwtletCertificateExpiring" by certificate_expires;
    descriptors_run_out: "JwtletDescriptorsNearLimit" by descriptors;
}

async fn not_ready(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.kubernetes.stop().await;
    server.exchange_in_vain().await;
    server.wait_until_not_ready().await;
    prometheus.wait_for(alert).await;
}

async fn exchanges_fail_of_ours(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.vault.seal(true);
    server.exchange_in_vain().await;
    prometheus.wait_for(alert).await;
}

async fn refused(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    for _ in 0..3 {
        assert_eq!(server.exchange(&[("resource", "globex")]).await.status, 403);
    }
    prometheus.wait_for(alert).await;
}

async fn slow(alert: &str) {
    let (server, prometheus) = healthy(alert, &[]).await;
    server.kubernetes.faults().set_latency(Duration::from_millis(1_200));
    assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 200);
    prometheus.wait_for(alert).await;
}

async fn signatures_queue(alert: &str) {
    // One call under way, and more than half of the 4096 places to wait taken.
    const CALLERS: usize = 2_200;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let bounds = [
        ("JWTLET__VAULT__MAX_IN_FLIGHT", "1"),
        ("JWTLET__VAULT__REQUEST_TIMEOUT", "60s"),
        ("JWTLET__K8S__REVIEW_CACHE_TTL", "60s"),
    ];
    let (server, prometheus) = healthy(alert, &bounds).await;
    server.vault.faults().on_path("/v1/transit/sign/", Fault::Hang);
    let mut callers = JoinSet::new();
    let token = server.subject_token();
    for _ in 0..CALLERS {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", &token),
            ("resource", "acme"),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = server.http.post(format!("{}/token", server.exchange));
        callers.spawn(request.header("content-type", "application/x-www-form-urlencoded").body(body).send());
    }
    prometheus.wait_for(alert).await;
}

async fn turned_away(alert: &str) {
    let (server, prometheus) = healthy(alert, &[("JWTLET__HTTP__MAX_CONNECTIONS", "8")]).await;
    let address = server.exchange.strip_prefix("http://").unwrap();
    let mut clients = Vec::new();
    for _ in 0..9 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    prometheus.wait_for(alert).await;
}

async fn certificate_expires(alert: &str) {
    let (server, files) = Harness::start_with_everything().await;
    let prometheus = Prometheus::watch(&[&server]).await;
    let firing = prometheus.firing().await;
    assert!(!firing.iter().any(|name| name == alert), "{firing:?}");
    #[expect(clippy::disallowed_methods, reason = "a certificate has times")]
    let now = SystemTime::now();
    certify(&files, Some(now + Duration::from_hours(48)));
    prometheus.wait_for(alert).await;
}

async fn descriptors(alert: &str) {
    const LIMIT: usize = 100;
    let neighbours = Neighbours::start().await;
    let mut command = std::process::Command::new("sh");
    command.env_clear().args(["-c", &format!("ulimit -n {LIMIT}; exec \"$0\" \"$1\"")]);
    command.arg(env!("CARGO_BIN_EXE_jwtlet-server")).arg(neighbours.config(0, 0));
    let program = Program::start(&mut command);
    let (exchange, management) = (address(&program, "exchange").await, address(&program, "management").await);
    let http = client();
    ready(&http, &exchange).await;
    let prometheus = Prometheus::watch_targets(vec![management], &http).await;
    let firing = prometheus.firing().await;
    assert!(!firing.iter().any(|name| name == alert), "{firing:?}");
    let open = prometheus.value("process_open_fds").await;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let missing = LIMIT * 9 / 10 - open as usize;
    let address = exchange.strip_prefix("http://").unwrap();
    let mut idle = Vec::new();
    for _ in 0..missing {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    prometheus.wait_for(alert).await;
}
