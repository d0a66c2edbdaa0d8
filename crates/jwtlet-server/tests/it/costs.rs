//! What an exchange costs the systems behind it: one review, one signature, no new connection.

use std::sync::Arc;

use reqwest::Method;
use tokio::task::JoinSet;

use crate::harness::{CONNECTOR, Harness};

#[tokio::test]
async fn an_exchange_is_one_review_and_one_call_to_vault() {
    let server = Harness::with_acme().await;
    let (signs, keys, calls) =
        (server.vault.calls_to("transit/sign"), server.vault.calls_to("transit/keys"), server.vault.calls());
    for _ in 0..20 {
        let token = server.subject_token();
        assert_eq!(
            server.exchange_token(&token, &[("resource", "acme"), ("scope", "read")]).await.status,
            200
        );
        assert_eq!(server.kubernetes.reviews_of(&token), 1);
    }
    assert_eq!(server.vault.calls_to("transit/sign") - signs, 20);
    assert_eq!(server.vault.calls_to("transit/keys") - keys, 0);
    assert_eq!(server.vault.calls() - calls, 20);
}

#[tokio::test]
async fn a_policy_denial_costs_a_review_and_no_signature() {
    let server = Harness::with_acme().await;
    let calls = server.vault.calls();
    for request in [
        [("resource", "globex"), ("scope", "read")],
        [("resource", "acme"), ("scope", "admin")],
        [("resource", "acme"), ("audience", "other")],
    ] {
        let token = server.subject_token();
        assert_eq!(server.exchange_token(&token, &request).await.status, 403);
        assert_eq!(server.kubernetes.reviews_of(&token), 1);
    }
    assert_eq!(server.vault.calls(), calls);
}

#[tokio::test]
async fn the_management_api_and_the_published_keys_cost_vault_nothing() {
    let server = Harness::with_acme().await;
    let calls = server.vault.calls();
    for _ in 0..10 {
        assert_eq!(server.manage(Method::GET, "/mappings", "reader", None).await.status, 200);
        assert_eq!(server.get("/.well-known/jwks.json").await.status, 200);
        assert_eq!(server.get("/readyz").await.status, 200);
    }
    assert_eq!(server.vault.calls(), calls);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    assert_eq!(server.exchange_token(&token, &[("resource", "acme")]).await.status, 200);
    let (kubernetes, vault) = (server.kubernetes.connections(), server.vault.connections());
    for _ in 0..50 {
        assert_eq!(server.exchange_token(&token, &[("resource", "acme")]).await.status, 200);
    }
    assert_eq!(server.kubernetes.connections() - kubernetes, 0);
    assert_eq!(server.vault.connections() - vault, 0);
}

#[tokio::test]
async fn exchanges_at_once_share_calls_and_everybody_receives_the_own_token() {
    let server = Arc::new(Harness::start().await);
    let contexts: Vec<String> = (0..40).map(|i| format!("tenant-{i}")).collect();
    for context in &contexts {
        server.map(CONNECTOR, context, &[], &[]).await;
    }
    let signs = server.vault.calls_to("transit/sign");
    let mut running = JoinSet::new();
    for context in contexts {
        let server = Arc::clone(&server);
        running.spawn(async move {
            let token = server.subject_token();
            let answer = server.exchange_token(&token, &[("resource", &context)]).await;
            assert_eq!(answer.claims()["sub"], context);
            assert_eq!(server.kubernetes.reviews_of(&token), 1);
        });
    }
    assert_eq!(running.join_all().await.len(), 40);
    let calls = server.vault.calls_to("transit/sign") - signs;
    assert!((1..=40).contains(&calls), "{calls}");
}

#[tokio::test]
async fn with_the_cache_many_exchanges_of_a_token_are_one_review() {
    let server = Harness::start_with(&[("JWTLET__K8S__REVIEW_CACHE_TTL", "300s")]).await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    let token = server.subject_token();
    for _ in 0..20 {
        assert_eq!(server.exchange_token(&token, &[("resource", "acme")]).await.status, 200);
    }
    assert_eq!(server.kubernetes.reviews_of(&token), 1);
}
