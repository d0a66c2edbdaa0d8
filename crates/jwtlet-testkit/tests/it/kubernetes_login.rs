//! The Kubernetes login, which asks the other fake.

use std::time::Duration;

use jwtlet_testkit::{KeyType, Kubernetes, KubernetesAuth, KubernetesRole, TokenPolicy, Vault};
use serde_json::{Value, json};

use crate::http::vault;

async fn prepare(tls: bool) -> (Kubernetes, Vault) {
    let kubernetes = Kubernetes::builder().tls(tls).start().await.unwrap();
    let server =
        Vault::builder().kubernetes_auth(KubernetesAuth::attached_to(&kubernetes)).start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    server.kubernetes_role("signer", role(Some("vault")));
    (kubernetes, server)
}

fn role(audience: Option<&str>) -> KubernetesRole {
    KubernetesRole {
        service_accounts: vec![("jwtlet".to_owned(), "jwtlet".to_owned())],
        audience: audience.map(str::to_owned),
        policy: TokenPolicy::signer("k"),
        ttl: Duration::from_hours(1),
        max_ttl: None,
    }
}

async fn login(server: &Vault, role: &str, jwt: &str) -> (u16, Value) {
    vault(server, "", "POST", "auth/kubernetes/login", Some(json!({ "role": role, "jwt": jwt }))).await
}

#[tokio::test]
async fn a_service_account_logs_in_and_signs() {
    let (kubernetes, server) = prepare(true).await;
    let jwt = kubernetes.token("jwtlet", "jwtlet").audience("vault").mint();

    let (status, body) = login(&server, "signer", &jwt).await;

    assert_eq!(status, 200, "{body}");
    let auth = &body["auth"];
    assert_eq!((&auth["lease_duration"], &auth["renewable"]), (&json!(3600), &json!(true)));
    assert_eq!(auth["metadata"]["service_account_namespace"], "jwtlet");
    assert_eq!(kubernetes.reviews_of(&jwt), 1);
    let token = auth["client_token"].as_str().unwrap();
    let input = Some(json!({ "input": "YQ==" }));
    assert_eq!(vault(&server, token, "POST", "transit/sign/k", input).await.0, 200);
}

#[tokio::test]
async fn wrong_requests_are_400_and_wrong_tokens_403() {
    let (kubernetes, server) = prepare(false).await;
    kubernetes.create_service_account("shop", "cart");
    let good = kubernetes.token("jwtlet", "jwtlet").audience("vault").mint();
    let other_audience = kubernetes.token("jwtlet", "jwtlet").audience("elsewhere").mint();
    let other_account = kubernetes.token("shop", "cart").audience("vault").mint();
    assert_eq!(login(&server, "", &good).await.0, 400);
    assert_eq!(login(&server, "unknown", &good).await.0, 400);
    assert_eq!(login(&server, "signer", "").await.0, 400);
    assert_eq!(login(&server, "signer", "garbage").await.0, 403);
    assert_eq!(login(&server, "signer", &other_audience).await.0, 403);
    assert_eq!(login(&server, "signer", &other_account).await.0, 403);
    kubernetes.stop().await;
    assert_eq!(login(&server, "signer", &good).await.0, 403);
}

#[tokio::test]
async fn a_role_without_audience_takes_the_tokens_own() {
    let (kubernetes, server) = prepare(false).await;
    server.kubernetes_role("any", role(None));
    let jwt = kubernetes.token("jwtlet", "jwtlet").audience("whatever").mint();
    assert_eq!(login(&server, "any", &jwt).await.0, 200);
}

#[tokio::test]
async fn without_a_reviewer_the_login_token_reviews_itself() {
    let kubernetes = Kubernetes::start().await.unwrap();
    let server =
        Vault::builder().kubernetes_auth(KubernetesAuth::new(kubernetes.url())).start().await.unwrap();
    server.kubernetes_role("any", role(None));
    assert_eq!(login(&server, "any", &kubernetes.reviewer_token()).await.0, 200);
    let weak = kubernetes.token("jwtlet", "jwtlet").audience("vault").mint();
    assert_eq!(login(&server, "any", &weak).await.0, 403);
}

#[tokio::test]
async fn a_renewal_fails_once_the_role_is_gone() {
    let (kubernetes, server) = prepare(false).await;
    let jwt = kubernetes.token("jwtlet", "jwtlet").audience("vault").mint();
    let (_, body) = login(&server, "signer", &jwt).await;
    let token = body["auth"]["client_token"].as_str().unwrap();
    assert_eq!(vault(&server, token, "POST", "auth/token/renew-self", None).await.0, 200);
    server.delete_kubernetes_role("signer");
    assert_eq!(vault(&server, token, "POST", "auth/token/renew-self", None).await.0, 500);
}
