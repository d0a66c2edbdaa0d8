//! A small client for both fakes.

use std::time::Duration;

use jwtlet_testkit::{Kubernetes, Vault};
use reqwest::{Certificate, Client, Method, RequestBuilder, redirect};
use serde_json::{Value, json};

/// A client that trusts this authority (or none), follows nothing and gives up after a while.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests of the fakes come before any client of the workspace"
)]
pub(crate) fn client(ca_pem: Option<&str>) -> Client {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let certificates = ca_pem.map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
    Client::builder()
        .no_proxy()
        .tls_certs_only(certificates)
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// Status and JSON body; a body that is not JSON becomes `null`.
pub(crate) async fn send(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A TokenReview as the reviewer asks for it.
pub(crate) async fn review(kubernetes: &Kubernetes, token: &str, audiences: &[&str]) -> (u16, Value) {
    review_as(kubernetes, Some(&kubernetes.reviewer_token()), token, audiences).await
}

pub(crate) async fn review_as(
    kubernetes: &Kubernetes,
    bearer: Option<&str>,
    token: &str,
    audiences: &[&str],
) -> (u16, Value) {
    let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", kubernetes.url());
    let mut request = client(kubernetes.ca_pem().as_deref()).post(url).json(&json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": token, "audiences": audiences },
    }));
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    send(request).await
}

/// A call to Vault; the path comes without `/v1/`.
pub(crate) async fn vault(
    vault: &Vault,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let url = format!("{}/v1/{path}", vault.url());
    let mut request = client(vault.ca_pem().as_deref()).request(method, url).header("x-vault-token", token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    send(request).await
}

/// A call to Vault with the root token.
pub(crate) async fn root(server: &Vault, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    vault(server, &server.root_token(), method, path, body).await
}
