//! Subject tokens in good form that only the cluster can tell from real ones, and tokens of jwtlet's own.

use serde_json::{Value, json};

use crate::harness::{CONNECTOR, EXCHANGE_AUDIENCE, Harness};

/// Presents the token: the cluster is asked once, refuses it, and Vault signs nothing.
async fn refused_by_the_cluster(server: &Harness, token: &str) {
    let (reviews, signatures) = (server.kubernetes.reviews_of(token), server.vault.signatures());
    let answer = server.exchange_token(token, &[("resource", "acme")]).await;
    answer.assert_subject_refused(token);
    assert_eq!(server.kubernetes.reviews_of(token), reviews + 1, "{answer}");
    assert_eq!(server.vault.signatures(), signatures, "{answer}");
}

fn good(server: &Harness) -> jwtlet_testkit::TokenBuilder {
    server.kubernetes.token("demo", "connector").audience(EXCHANGE_AUDIENCE)
}

#[tokio::test]
async fn a_signature_of_another_key_is_refused() {
    let server = Harness::with_acme().await;
    refused_by_the_cluster(&server, &good(&server).foreign_key().mint()).await;
    let token = server.subject_token();
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    refused_by_the_cluster(&server, &format!("{unsigned}.c2ln")).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn claims_under_the_signature_of_other_claims_are_refused() {
    let server = Harness::with_acme().await;
    let (own, admin) =
        (server.subject_token(), server.kubernetes.token("ops", "admin").audience(EXCHANGE_AUDIENCE).mint());
    let (own, admin): (Vec<_>, Vec<_>) = (own.split('.').collect(), admin.split('.').collect());
    refused_by_the_cluster(&server, &format!("{}.{}.{}", own[0], admin[1], own[2])).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn an_algorithm_other_than_the_keys_is_refused() {
    let server = Harness::with_acme().await;
    for alg in ["PS256", "RS384", "ES256", "EdDSA"] {
        refused_by_the_cluster(&server, &good(&server).header("alg", alg).mint()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_key_id_is_a_name_and_nothing_else() {
    let server = Harness::with_acme().await;
    for kid in
        ["../../etc/passwd", "' OR 1=1 --", "https://evil.example.com/", "vault:v1:", "unknown", "ключ"]
    {
        refused_by_the_cluster(&server, &good(&server).header("kid", kid).mint()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let server = Harness::with_acme().await;
    let issuer = server.kubernetes.issuer().to_owned();
    for issuer in [
        json!(format!("{issuer}/")),
        json!(issuer.replace("https", "http")),
        json!(issuer.to_uppercase()),
        json!([issuer]),
        json!("https://jwtlet.example.com"),
        json!(""),
    ] {
        refused_by_the_cluster(&server, &good(&server).claim("iss", issuer).mint()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_service_account_that_does_not_exist_is_refused() {
    let server = Harness::with_acme().await;
    let token = server.kubernetes.token("demo", "nobody").audience(EXCHANGE_AUDIENCE).mint();
    refused_by_the_cluster(&server, &token).await;
}

#[tokio::test]
async fn tokens_of_a_deleted_service_account_are_refused() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    assert_eq!(server.exchange_token(&token, &[("resource", "acme")]).await.status, 200);
    server.kubernetes.delete_service_account("demo", "connector");
    refused_by_the_cluster(&server, &token).await;
}

#[tokio::test]
async fn tokens_do_not_pass_to_a_service_account_made_anew_under_the_same_name() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    server.kubernetes.create_service_account("demo", "connector");
    refused_by_the_cluster(&server, &token).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_token_dies_with_its_pod() {
    let server = Harness::with_acme().await;
    server.kubernetes.create_pod("demo", "connector-0");
    let token = good(&server).pod("connector-0").mint();
    assert_eq!(server.exchange_token(&token, &[("resource", "acme")]).await.status, 200);
    server.kubernetes.delete_pod("demo", "connector-0");
    refused_by_the_cluster(&server, &token).await;
    server.kubernetes.create_pod("demo", "connector-0");
    refused_by_the_cluster(&server, &token).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_subject_other_than_the_account_of_the_token_is_refused() {
    let server = Harness::with_acme().await;
    for subject in ["system:serviceaccount:ops:admin", "system:serviceaccount:demo:connector2"] {
        refused_by_the_cluster(&server, &good(&server).subject(subject).mint()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn what_the_cluster_says_does_not_reach_the_caller() {
    let server = Harness::with_acme().await;
    let answer = server.exchange_token(&good(&server).foreign_key().mint(), &[("resource", "acme")]).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_request","error_description":"subject_token is not accepted by the cluster; present the current token of an existing service account"}
    "#);
}

#[tokio::test]
async fn an_issued_token_is_no_subject_token() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &[], &[EXCHANGE_AUDIENCE]).await;
    server.map(CONNECTOR, CONNECTOR, &[], &[EXCHANGE_AUDIENCE]).await;
    // The context of the second is a service account's name, so that all local checks let the token pass.
    for (context, reviews) in [("acme", 0), (CONNECTOR, 1)] {
        let request = [("resource", context), ("audience", EXCHANGE_AUDIENCE)];
        let issued = server.exchange(&request).await.access_token();
        let signatures = server.vault.signatures();
        server.exchange_token(&issued, &request).await.assert_subject_refused(&issued);
        assert_eq!((server.kubernetes.reviews_of(&issued), server.vault.signatures()), (reviews, signatures));
    }
}

#[tokio::test]
async fn a_thousand_bad_tokens_leave_no_trace() {
    let server = Harness::with_acme().await;
    let token = good(&server).foreign_key().mint();
    for i in 0..1000 {
        let answer = server.exchange_token(&format!("{token}{}", i % 10), &[("resource", "acme")]).await;
        assert_eq!(
            (answer.status, answer.json()["error"].clone()),
            (400, Value::from("invalid_request")),
            "{answer}"
        );
    }
    server.exchange_works().await;
}
