//! Kubernetes or Vault on a bad day: never the caller's fault, and over without a restart.

use std::time::Duration;

use jwtlet_testkit::{Fault, Faults, Vault};
use serde_json::json;

use crate::harness::{Answer, CONNECTOR, Harness, KEY};

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const SIGN: &str = "/v1/transit/sign";

/// A server that gives up on a mute neighbour soon.
async fn impatient() -> Harness {
    let server = Harness::start_with(&[
        ("JWTLET__K8S__REQUEST_TIMEOUT", "1s"),
        ("JWTLET__VAULT__REQUEST_TIMEOUT", "1s"),
    ])
    .await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    server
}

/// An exchange with this fault in the way. Readiness names the system, and both recover with it.
async fn exchange_with(server: &Harness, faults: &Faults, path: &str, fault: &Fault, system: &str) -> Answer {
    faults.on_path(path, fault.clone());
    let answer = server.exchange(&[("resource", "acme")]).await;
    server.wait_until_not_ready().await;
    let readiness = server.get("/readyz").await;
    assert_eq!((readiness.status, readiness.body), (503, format!("{system}: not ready\n")), "{fault:?}");
    faults.clear();
    server.wait_until_ready().await;
    server.exchange_works().await;
    answer
}

fn assert_try_again(answer: &Answer, after: &str, fault: &Fault) {
    answer.assert_refused(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some(after), "{fault:?}: {answer}");
}

fn assert_ours(answer: &Answer, fault: &Fault) {
    answer.assert_refused(500, "server_error");
    assert_eq!(answer.header("retry-after"), None, "{fault:?}: {answer}");
}

#[tokio::test]
async fn when_kubernetes_fails_the_client_is_told_to_try_again() {
    let server = impatient().await;
    let faults = server.kubernetes.faults();
    for (fault, retry_after) in [
        (Fault::too_many_requests(Duration::from_secs(2)), "2"),
        (Fault::status(429), "1"),
        (Fault::kubernetes(500, "InternalError", "etcd is gone"), "1"),
        (Fault::status(502), "1"),
        (Fault::status(503).with_header("retry-after", "12"), "12"),
        (Fault::status(503).with_header("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), "1"),
        (Fault::status(504), "1"),
        (Fault::status(404), "1"),
        (Fault::status(400), "1"),
        (Fault::status(204), "1"),
        (Fault::json(201, &json!({"kind": "Status", "status": "Failure"})), "1"),
        (Fault::Garbage, "1"),
        (Fault::Truncated, "1"),
        (Fault::Close, "1"),
        (Fault::Hang, "1"),
        (Fault::Oversized(5 << 20), "1"),
        (Fault::Redirect("https://elsewhere.example.com/".to_owned()), "1"),
    ] {
        let signatures = server.vault.signatures();
        let answer = exchange_with(&server, faults, REVIEWS, &fault, "Kubernetes").await;
        assert_try_again(&answer, retry_after, &fault);
        // The exchange that works afterwards signs.
        assert_eq!(server.vault.signatures() - signatures, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn when_kubernetes_refuses_jwtlet_that_is_an_error_of_ours() {
    let server = impatient().await;
    for fault in
        [Fault::kubernetes(401, "Unauthorized", "Unauthorized"), Fault::kubernetes(403, "Forbidden", "no")]
    {
        let answer = exchange_with(&server, server.kubernetes.faults(), REVIEWS, &fault, "Kubernetes").await;
        assert_ours(&answer, &fault);
    }
}

#[tokio::test]
async fn the_answer_to_an_outage_tells_the_caller_nothing_of_the_inside() {
    let server = Harness::with_acme().await;
    server.kubernetes.faults().always(Fault::kubernetes(500, "InternalError", "secret detail"));
    insta::assert_snapshot!(server.exchange(&[("resource", "acme")]).await, @r#"
    503
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    retry-after: 1
    {"error":"temporarily_unavailable","error_description":"a system that is needed for the exchange does not answer; try again"}
    "#);
    server.kubernetes.faults().clear();
    server.kubernetes.forbid_reviews(true);
    insta::assert_snapshot!(server.exchange(&[("resource", "acme")]).await, @r#"
    500
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"server_error","error_description":"the exchange service is set up wrongly; tell its operator"}
    "#);
}

#[tokio::test]
async fn when_vault_fails_the_client_is_told_to_try_again() {
    let server = impatient().await;
    let faults = server.vault.faults();
    let many =
        |seconds: &str| Fault::vault(429, "rate limit quota exceeded").with_header("retry-after", seconds);
    for (fault, retry_after) in [
        (many("9"), "9"),
        (Fault::vault(429, "rate limit quota exceeded"), "1"),
        (Fault::vault(500, "internal error"), "1"),
        (Fault::vault(502, "upstream"), "1"),
        (Fault::vault(503, "Vault is sealed"), "1"),
        (Fault::vault(412, "required index state not present"), "1"),
        (Fault::json(200, &json!({"data": null})), "1"),
        (Fault::json(200, &json!({"data": {"signature": "vault:v1:"}})), "1"),
        (Fault::json(200, &json!({"data": {"signature": "vault:v1:AAAA"}})), "1"),
        (Fault::status(204), "1"),
        (Fault::Garbage, "1"),
        (Fault::Truncated, "1"),
        (Fault::Close, "1"),
        (Fault::Hang, "1"),
        (Fault::Oversized(5 << 20), "1"),
    ] {
        let answer = exchange_with(&server, faults, SIGN, &fault, "Vault").await;
        assert_try_again(&answer, retry_after, &fault);
    }
}

#[tokio::test]
async fn when_vault_refuses_jwtlet_that_is_an_error_of_ours() {
    let server = impatient().await;
    for fault in [Fault::vault(403, "permission denied"), Fault::vault(404, "no handler for route")] {
        let answer = exchange_with(&server, server.vault.faults(), SIGN, &fault, "Vault").await;
        assert_ours(&answer, &fault);
    }
}

#[tokio::test]
async fn a_redirect_of_vault_is_not_followed_and_its_token_goes_nowhere() {
    let server = impatient().await;
    let elsewhere = Vault::start().await.unwrap();
    for path in [SIGN, "/v1/"] {
        let fault = Fault::Redirect(format!("{}/v1/transit/sign/{KEY}", elsewhere.url()));
        let answer = exchange_with(&server, server.vault.faults(), path, &fault, "Vault").await;
        assert_try_again(&answer, "1", &fault);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_sealed_vault_is_an_outage_until_it_is_unsealed() {
    let server = Harness::with_acme().await;
    server.vault.seal(true);
    let answer = server.exchange(&[("resource", "acme")]).await;
    assert_try_again(&answer, "1", &Fault::vault(503, "Vault is sealed"));
    assert_eq!(server.get("/readyz").await.body, "Vault: not ready\n");
    server.vault.seal(false);
    server.wait_until_ready().await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_closed_port_is_an_outage_until_it_is_open_again() {
    let server = Harness::with_acme().await;
    server.kubernetes.stop().await;
    assert_try_again(&server.exchange(&[("resource", "acme")]).await, "1", &Fault::Close);
    server.kubernetes.restart().await.unwrap();
    server.vault.stop().await;
    assert_try_again(&server.exchange(&[("resource", "acme")]).await, "1", &Fault::Close);
    server.vault.restart().await.unwrap();
    server.wait_until_ready().await;
    server.exchange_works().await;
}

#[tokio::test]
async fn readiness_names_every_system_that_is_away() {
    let server = Harness::with_acme().await;
    server.vault.stop().await;
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
    server.kubernetes.stop().await;
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
    let answer = server.get("/readyz").await;
    insta::assert_snapshot!(answer, @r#"
    503
    content-type: text/plain; charset=utf-8
    cache-control: no-store
    Kubernetes: not ready
    Vault: not ready
    "#);
    assert_eq!((server.get("/livez").await.status, server.get("/health").await.status), (200, 200));
}

#[tokio::test]
async fn a_bad_request_is_the_callers_fault_during_an_outage_too() {
    let server = Harness::with_acme().await;
    server.kubernetes.stop().await;
    server.vault.stop().await;
    server.exchange_token("opaque", &[("resource", "acme")]).await.assert_refused(400, "invalid_request");
    server.exchange(&[]).await.assert_refused(400, "invalid_request");
    server.exchange(&[("resource", "acme")]).await.assert_refused(503, "temporarily_unavailable");
}

#[tokio::test]
async fn a_signature_that_does_not_verify_is_never_handed_out() {
    let server = Harness::with_acme().await;
    let forgeries: [fn(&str) -> String; 8] = [
        |signature| signature.replace("vault:v1:", "vault:v4:"),
        |signature| signature.replace("vault:v1:", "vault:v0:"),
        |signature| signature.replace("vault:v1:", ""),
        |signature| signature.chars().rev().collect(),
        |signature| format!("vault:v1:{}", "A".repeat(signature.len() - 9)),
        |signature| format!("{signature}=="),
        |signature| signature[..signature.len() - 4].to_owned(),
        |signature| format!("{signature}AAAA"),
    ];
    for forge in forgeries {
        server.vault.on_answer(move |_, path, answer| {
            if path.starts_with("transit/sign") {
                let forged = forge(answer["data"]["signature"].as_str().unwrap());
                answer["data"]["signature"] = json!(forged);
            }
        });
        assert_try_again(&server.exchange(&[("resource", "acme")]).await, "1", &Fault::Garbage);
        server.vault.clear_hooks();
        server.wait_until_ready().await;
        server.exchange_works().await;
    }
}
