//! Nothing secret reaches the log, whatever happens and however much is logged.
//!
//! In a process of its own: the log of all libraries is captured at its most talkative, which is a setting of the
//! whole process.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

#[path = "it/harness.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod harness;

use std::{fs, time::Duration};

use jwtlet_testkit::{Fault, LogCapture};
use reqwest::Method;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use harness::{CONNECTOR, Harness};

/// Texts that must not be logged, each with its parts: a signature alone is enough to rebuild a token.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, secret: &str) {
        self.0.push(secret.to_owned());
        self.0.extend(secret.split('.').filter(|part| part.len() > 40).map(str::to_owned));
    }

    fn assert_absent(&self, log: &LogCapture) {
        assert!(self.0.iter().all(|secret| secret.len() > 12), "a secret that short is found anywhere");
        for secret in &self.0 {
            let text = log.text();
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "this is logged: {secret}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let log = LogCapture::new();
    let lines = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
    lines.with_max_level(LevelFilter::TRACE).init();
    let server = Harness::start().await;
    let mut secrets = Secrets::default();
    secrets.add(&server.kubernetes.reviewer_token());
    secrets.add(&fs::read_to_string(server.files.path().join("vault-token")).unwrap());

    manage(&server, &mut secrets).await;
    exchange(&server, &mut secrets).await;
    refuse(&server, &mut secrets).await;
    misplace(&server, &mut secrets).await;
    suffer_outages(&server, &mut secrets).await;
    rotate(&server, &mut secrets).await;

    // The log is about what happened here.
    for expected in
        ["request-of-this-test", CONNECTOR, "acme", "Vault cannot sign", "Kubernetes cannot review tokens"]
    {
        assert!(log.contains(expected), "{expected}");
    }
    for level in ["TRACE", "DEBUG", " INFO", " WARN"] {
        assert!(log.contains(level), "{level}");
    }
    secrets.assert_absent(&log);

    // Metrics are read by more people than logs are: no names in them either.
    let metrics = server.http.get(format!("{}/metrics", server.management)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let names = [CONNECTOR, "acme", "globex", "request-of-this-test"];
    for text in secrets.0.iter().map(String::as_str).chain(names) {
        assert!(!metrics.contains(text), "this is in the metrics: {text}");
    }
}

async fn manage(server: &Harness, secrets: &mut Secrets) {
    server.map(CONNECTOR, "acme", &["read", "write"], &[]).await;
    server.map_scope("read", json!({"role": "claim-of-the-token-1"})).await;
    server.map_scope("write", json!({"role": "claim-of-the-token-2"})).await;
    secrets.add("claim-of-the-token-1");
    secrets.add("claim-of-the-token-2");
    let url = format!("{}/api/v1/mappings", server.management);
    let admin = server.operator_token("admin");
    let (unsigned, _) = admin.rsplit_once('.').unwrap();
    for token in [&admin, &server.operator_token("nobody"), &server.subject_token(), unsigned] {
        let answer = server.http.get(&url).bearer_auth(token).send().await.unwrap();
        assert!([200, 401, 403].contains(&answer.status().as_u16()));
        secrets.add(token);
    }
    let mapping = json!({"clientIdentifier": 7});
    assert_eq!(server.manage(Method::POST, "/mappings", "admin", Some(&mapping)).await.status, 400);
}

async fn exchange(server: &Harness, secrets: &mut Secrets) {
    let token = server.subject_token();
    let request = [("resource", "acme"), ("scope", "read"), ("client_secret", "secret-of-the-client")];
    let answer = server.exchange_token(&token, &request).await;
    secrets.add(&answer.access_token());
    secrets.add(answer.claims()["jti"].as_str().unwrap());
    secrets.add(&token);
    secrets.add("secret-of-the-client");
    let named = server.http.post(format!("{}/token?subject_token={token}", server.exchange));
    let named = named.header("x-request-id", "request-of-this-test").bearer_auth(&token);
    assert_eq!(named.send().await.unwrap().status(), 415);
}

async fn refuse(server: &Harness, secrets: &mut Secrets) {
    let good = server.subject_token();
    let foreign =
        server.kubernetes.token("demo", "connector").audience("jwtlet-exchange").foreign_key().mint();
    let elsewhere =
        server.kubernetes.token("demo", "connector").audience("secret-audience-of-the-token").mint();
    secrets.add("secret-audience-of-the-token");
    for token in [&good, &foreign, &elsewhere, &format!("Bearer {good}"), "secret-opaque-token"] {
        secrets.add(token);
        for request in [
            &[("resource", "globex")][..],
            &[("resource", "acme"), ("scope", "admin")],
            &[("resource", "acme"), ("scope", "read write")],
            &[("resource", "acme"), ("actor_token", token)],
            &[("resource", "acme"), ("subject_token", token)],
            &[],
        ] {
            assert!([400, 403].contains(&server.exchange_token(token, request).await.status));
        }
    }
}

/// A token where a name belongs is neither logged nor repeated.
async fn misplace(server: &Harness, secrets: &mut Secrets) {
    let token = server.subject_token();
    secrets.add(&token);
    let signature = token.rsplit_once('.').unwrap().1;
    for request in [
        &[("resource", "acme"), ("audience", token.as_str())][..],
        &[("resource", &token)],
        &[("resource", signature)],
        &[("resource", "acme"), ("scope", &token)],
        &[("resource", "acme"), ("scope", &signature[..250])],
    ] {
        let answer = server.exchange_token(&token, request).await;
        assert!([400, 403].contains(&answer.status), "{answer}");
        assert!(!answer.body.contains(&signature[..100]), "{answer}");
    }
    for path in [format!("/mappings/{signature}/x"), format!("/scopes/{}", &signature[..250])] {
        let answer = server.manage(Method::GET, &path, "admin", None).await;
        assert_eq!(answer.status, 404, "{answer}");
        assert!(!answer.body.contains(&signature[..100]), "{answer}");
    }
    assert_eq!(server.get(&format!("/{token}")).await.status, 404);
    secrets.add(&signature[..100]);
}

async fn suffer_outages(server: &Harness, secrets: &mut Secrets) {
    let token = server.subject_token();
    secrets.add(&token);
    let vault_says =
        format!("vault repeats {}", fs::read_to_string(server.files.path().join("vault-token")).unwrap());
    for faults in [server.kubernetes.faults(), server.vault.faults()] {
        for fault in [
            Fault::status(503),
            Fault::too_many_requests(Duration::from_secs(1)),
            Fault::kubernetes(401, "Unauthorized", "Unauthorized"),
            Fault::json(200, &json!({"spec": {"token": token}, "status": vault_says, "data": vault_says})),
            Fault::Garbage,
            Fault::Truncated,
            Fault::Close,
            Fault::Hang,
            Fault::Redirect("http://127.0.0.1:1/".to_owned()),
        ] {
            faults.always(fault);
            let answer = server.exchange_token(&token, &[("resource", "acme")]).await;
            assert!(answer.status >= 500, "{answer}");
            faults.clear();
            server.wait_until_ready().await;
        }
    }
}

async fn rotate(server: &Harness, secrets: &mut Secrets) {
    let reviewer = server.kubernetes.rotate_reviewer_token();
    secrets.add(&reviewer);
    fs::write(server.files.path().join("reviewer-token"), reviewer).unwrap();
    secrets.add(&server.exchange(&[("resource", "acme")]).await.access_token());
    server.vault.revoke_token(&fs::read_to_string(server.files.path().join("vault-token")).unwrap());
    assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 500);
}
