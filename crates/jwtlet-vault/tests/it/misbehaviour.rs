//! Servers on their bad days: nothing that they answer may become a wrong token or leak jwtlet's own.

use std::{collections::VecDeque, fs, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jwtlet_core::Signer;
use jwtlet_testkit::{Fault, KeyType, Kubernetes, TokenPolicy, Vault, wait_for, wait_until};
use jwtlet_vault::{RsaAlgorithm, VaultAuth, VaultSettings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    backend::{Backend, Role},
    support::{
        PATIENCE, Running, is_misconfigured, is_unavailable, login, now, run, run_ready, settings,
        settings_for, token,
    },
    testkit::Testkit,
};

/// The path of signatures, as faults see it.
const SIGN: &str = "/v1/transit/sign";

fn impatient(vault: &Vault) -> VaultSettings {
    let vault_token = vault.create_token(&TokenPolicy::signer("signing"));
    VaultSettings {
        request_timeout: Duration::from_millis(500),
        ..settings_for(vault.url(), token(vault_token))
    }
}

async fn prepare(kind: KeyType) -> (Vault, Running) {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", kind).unwrap();
    let running = run_ready(&impatient(&vault)).await;
    (vault, running)
}

/// What is done to a signature.
type Change = fn(&str) -> String;

/// Changes every signature that the server makes from now on.
fn tamper(vault: &Vault, change: impl Fn(&str) -> String + Send + 'static) {
    vault.clear_hooks();
    vault.on_answer(move |_, path, answer| {
        if path.starts_with("transit/sign/")
            && let Value::String(signature) = &mut answer["data"]["signature"]
        {
            *signature = change(signature);
        }
    });
}

fn bytes_of(signature: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(signature.trim_start_matches("vault:v1:")).unwrap()
}

fn signature_of(bytes: &[u8]) -> String {
    format!("vault:v1:{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// R‖S as the DER sequence that Vault makes without `marshaling_algorithm`.
fn der(bytes: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let mut number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [vec![2, u8::try_from(number.len()).unwrap()], number].concat()
    };
    let content = [integer(&bytes[..32]), integer(&bytes[32..])].concat();
    [vec![0x30, u8::try_from(content.len()).unwrap()], content].concat()
}

#[tokio::test]
async fn a_signature_that_does_not_verify_is_never_returned() {
    let changes: [(&str, Change); 7] = [
        ("another version", |signature| signature.replace("vault:v1:", "vault:v2:")),
        ("no version", |signature| signature.trim_start_matches("vault:v1:").to_owned()),
        ("padding", |signature| format!("{signature}==")),
        ("one bit", |signature| {
            let mut bytes = bytes_of(signature);
            bytes[40] ^= 1;
            signature_of(&bytes)
        }),
        ("a byte too few", |signature| signature_of(&bytes_of(signature)[1..])),
        ("a byte too many", |signature| signature_of(&[bytes_of(signature), vec![0]].concat())),
        ("nothing", |_| String::new()),
    ];
    for kind in [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::Rsa2048] {
        let (vault, running) = prepare(kind).await;
        for (what, change) in changes {
            tamper(&vault, change);
            assert_eq!(is_unavailable(running.sign().await), None, "{what}");
        }
        running.is_not_ready_because("a signature that cannot be used").await;
        vault.clear_hooks();
        running.becomes_ready().await;
        running.signs().await;
    }
}

#[tokio::test]
async fn a_der_signature_is_never_returned() {
    let (vault, running) = prepare(KeyType::EcdsaP256).await;
    tamper(&vault, |signature| signature_of(&der(&bytes_of(signature))));
    is_unavailable(running.sign().await);
    running.is_not_ready_because("bytes long instead of 64").await;
}

#[tokio::test]
async fn a_pss_signature_with_another_salt_than_rfc_7518_wants_is_never_returned() {
    let vault = Vault::builder().without_salt_lengths().start().await.unwrap();
    vault.create_key("signing", KeyType::Rsa2048).unwrap();
    let running = run(&VaultSettings { signature_algorithm: RsaAlgorithm::Ps256, ..impatient(&vault) });
    running.is_not_ready_because("it does not verify with the public key of its version").await;
    assert_eq!(is_unavailable(running.sign().await), None);
    for (_, outcome) in running.sign_together(10).await {
        assert_eq!(is_unavailable(outcome), None);
    }
}

#[tokio::test]
async fn the_signature_of_another_request_is_never_returned() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    // Two calls late, because each exchange is tried twice.
    let mut last = VecDeque::from([Value::Null, Value::Null]);
    vault.on_answer(move |_, path, answer| {
        if path.starts_with("transit/sign/") {
            last.push_back(answer["data"]["signature"].take());
            answer["data"]["signature"] = last.pop_front().unwrap();
        }
    });
    for number in 0..3 {
        let payload = json!({ "number": number }).to_string();
        is_unavailable(running.signer.sign(payload.as_bytes(), now()).await);
    }
}

#[tokio::test]
async fn a_signature_of_another_version_is_asked_for_once_more() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    let mut left = 1;
    vault.on_answer(move |_, path, answer| {
        if path.starts_with("transit/sign/") && left > 0 {
            left -= 1;
            answer["data"]["signature"] = json!("vault:v2:AAAA");
        }
    });
    running.signs().await;
}

#[tokio::test]
async fn a_node_that_lags_behind_is_asked_once_more() {
    for status in [400, 500] {
        let (vault, running) = prepare(KeyType::Ed25519).await;
        let text = "requested version for signing is higher than the latest key version";
        vault.faults().next_on_path(1, SIGN, Fault::vault(status, text));
        running.signs().await;
        vault.faults().on_path(SIGN, Fault::vault(status, text));
        is_unavailable(running.sign().await);
    }
}

#[tokio::test]
async fn whatever_is_no_answer_is_an_outage_that_ends_by_itself() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    let statuses =
        [302, 405, 412, 413, 472, 473, 500, 502, 503, 504].map(|status| Fault::vault(status, "no"));
    let others = [Fault::Garbage, Fault::Truncated, Fault::Hang, Fault::Close, Fault::Oversized(5 << 20)];
    let oddities = [json!({}), json!({ "data": null }), json!({ "data": { "signature": 7 } }), json!([])];
    let oddities = oddities.map(|body| Fault::json(200, &body));
    for fault in statuses.into_iter().chain(others).chain(oddities).chain([Fault::status(204)]) {
        vault.faults().on_path(SIGN, fault.clone());
        assert_eq!(is_unavailable(running.sign().await), None, "{fault:?}");
        vault.faults().clear();
        running.becomes_ready().await;
        running.signs().await;
    }
}

#[tokio::test]
async fn a_missing_route_is_an_operators_matter() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    vault.faults().on_path(SIGN, Fault::vault(404, "no handler for route"));
    is_misconfigured(&running.sign().await);
}

#[tokio::test]
async fn the_time_that_a_busy_server_asks_for_is_passed_on() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    vault.faults().next_on_path(1, SIGN, Fault::too_many_requests(Duration::from_secs(7)));
    assert_eq!(is_unavailable(running.sign().await), Some(Duration::from_secs(7)));
    vault.faults().always(Fault::vault(429, "rate limit quota exceeded"));
    assert_eq!(is_unavailable(running.sign().await), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    let other = Vault::start().await.unwrap();
    vault.faults().always(Fault::Redirect(format!("{}/v1/transit/sign/signing", other.url())));
    is_unavailable(running.sign().await);
    running.is_not_ready_because("with status 307").await;
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn an_exchange_costs_one_call_on_a_connection_that_is_kept() {
    let (vault, running) = prepare(KeyType::Ed25519).await;
    let before = vault.calls_to("transit/sign");
    for _ in 0..20 {
        running.signs().await;
    }
    assert_eq!(vault.calls_to("transit/sign") - before, 20);
    assert!(vault.connections() <= 2, "{}", vault.connections());
}

#[tokio::test]
async fn a_server_that_is_away_delays_readiness_and_nothing_else() {
    let vault = Vault::start().await.unwrap();
    let settings = impatient(&vault);
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    vault.stop().await;
    let running = run(&settings);
    running.is_not_ready_because("the call failed").await;
    is_unavailable(running.sign().await);
    assert!(running.signer.published_keys(now()).is_none());
    vault.restart().await.unwrap();
    running.becomes_ready().await;
    vault.stop().await;
    is_unavailable(running.sign().await);
    assert_eq!(running.published_kids(), ["signing-1"]);
    vault.restart().await.unwrap();
    running.becomes_ready().await;
    running.signs().await;
}

#[tokio::test]
async fn only_the_certificate_authority_of_the_ca_file_is_trusted() {
    let vault = Vault::builder().tls(true).start().await.unwrap();
    let other = Vault::builder().tls(true).start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let directory = TempDir::new().unwrap();
    let settings = |ca: Option<String>, name: &str| {
        let file = directory.path().join(name);
        fs::write(&file, ca.unwrap()).unwrap();
        VaultSettings { ca_file: Some(file), ..impatient(&vault) }
    };
    run_ready(&settings(vault.ca_pem(), "good")).await.signs().await;
    let running = run(&settings(other.ca_pem(), "bad"));
    running.is_not_ready_because("the call failed").await;
    is_unavailable(running.sign().await);
}

#[tokio::test]
async fn a_token_file_that_is_late_is_waited_for() {
    let vault = Vault::start().await.unwrap();
    vault.create_key("signing", KeyType::Ed25519).unwrap();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    let running = run(&settings_for(vault.url(), VaultAuth::TokenFile(file.clone())));
    running.is_not_ready_because("cannot read the token file").await;
    is_unavailable(running.sign().await);
    fs::write(&file, r#"{"token":"wrapped"}"#).unwrap();
    running.is_not_ready_because("set up the agent's sink without wrap_ttl").await;
    is_misconfigured(&running.sign().await);
    fs::write(&file, vault.create_token(&TokenPolicy::signer("signing"))).unwrap();
    running.becomes_ready().await;
    running.signs().await;
}

#[tokio::test]
async fn a_key_in_an_unexpected_form_is_refused() {
    for (member, value, reason) in [
        ("keys", json!({}), "Vault lists no version of it"),
        ("keys", json!({ "0": {} }), "has the number \"0\""),
        ("keys", json!({ "1": 1_700_000_000 }), "its version 1 is not described"),
        (
            "keys",
            json!({ "1": { "public_key": "", "creation_time": "2026-01-02T03:04:05Z" } }),
            "0 bytes long",
        ),
        ("supports_signing", json!(false), "it does not support signing"),
        ("type", json!("external-key"), "its type external-key is not supported"),
        ("type", json!("ecdsa-p256"), "it is not a PEM public key"),
        ("min_encryption_version", json!(9), "its min_encryption_version 9 excludes every version"),
    ] {
        let vault = Vault::start().await.unwrap();
        vault.create_key("signing", KeyType::Ed25519).unwrap();
        vault.on_answer(move |_, path, answer| {
            if path.starts_with("transit/keys/") {
                answer["data"][member] = value.clone();
            }
        });
        let running = run(&impatient(&vault));
        running.is_not_ready_because(reason).await;
        is_misconfigured(&running.sign().await);
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_renewed_keeps_its_token_to_the_end() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("jwtlet", "signer");
    let role = Role { name: "jwtlet", ttl: Duration::from_secs(3), max_ttl: None };
    let backend = Testkit::start_with_login(&kubernetes, role).await;
    backend.create_key("ed25519").await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, kubernetes.token("jwtlet", "signer").mint()).unwrap();
    let start = Instant::now();
    let running = run_ready(&settings(&backend, login("jwtlet", file))).await;

    backend.vault.faults().on_path("/v1/auth", Fault::vault(503, "no"));
    let past_renewal = async || {
        running.signs().await;
        start.elapsed() > Duration::from_millis(2500)
    };
    wait_for(past_renewal, PATIENCE).await.unwrap();
    is_misconfigured_after_end(&running).await;
    backend.vault.faults().clear();
    running.becomes_ready().await;
    running.signs().await;
}

/// Without a login the token ends, and the exchange learns it from the refusal.
async fn is_misconfigured_after_end(running: &Running) {
    let ended = wait_for(async || running.sign().await.is_err(), PATIENCE).await;
    assert!(ended.is_ok());
    wait_until(|| running.signer.health() != jwtlet_core::health::Health::Ready, PATIENCE).await.unwrap();
}
