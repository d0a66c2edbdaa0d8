//! What the suite needs of a server besides Vault's own API.

use std::time::Duration;

use http::Method;
use jwtlet_testkit::Kubernetes;
use jwtlet_upstream::{HttpClient, HttpSettings};
use serde_json::{Value, json};

/// What a token may do with the key `signing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Read it.
    Reader,
    /// Read it and sign with it.
    Signer,
    /// Read it, sign with it and create it.
    Creator,
}

/// A role of the Kubernetes login for the service account `jwtlet/signer`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Option<Duration>,
}

/// A limit on the rate of requests that is used up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// How long the server says no.
    pub(crate) seconds: u64,
    /// Whether it says for how long.
    pub(crate) says_so: bool,
}

/// A server under test, with a transit engine at `transit`.
pub(crate) trait Backend: Sized {
    async fn start() -> Self;

    /// A server whose engine is in this namespace.
    async fn start_in_namespace(namespace: &'static str) -> Self;

    /// A server with a Kubernetes login that asks this cluster.
    async fn start_with_login(kubernetes: &Kubernetes, role: Role) -> Self;

    fn url(&self) -> String;

    fn root_token(&self) -> String;

    fn namespace(&self) -> &'static str {
        ""
    }

    async fn token(&self, rights: Rights) -> String;

    async fn revoke(&self, token: &str);

    /// Makes the token of the running login worthless.
    async fn refuse_login_token(&self);

    async fn seal(&self);

    async fn unseal(&self);

    /// Lets one request pass every so many seconds, or says no with `Retry-After` if it is to.
    async fn set_quota(&self, quota: Quota);

    /// Lets all requests pass again.
    async fn lift_quota(&self);

    /// A call to the API as root that has to succeed.
    async fn root(&self, method: Method, path: &str, body: Value) {
        crate::support::install_crypto_provider();
        let http = HttpClient::new(HttpSettings {
            tls: false,
            ca_file: None,
            ca_file_optional: false,
            client_certificate: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        });
        let url = format!("{}/v1/{path}", self.url());
        let mut request = http.get().unwrap().request(method, url).header("x-vault-token", self.root_token());
        if !self.namespace().is_empty() {
            request = request.header("x-vault-namespace", self.namespace());
        }
        let answer = http.send(request.body(body.to_string())).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {} {:?}", answer.status, answer.json::<Value>());
    }

    async fn create_key(&self, kind: &str) {
        self.root(Method::POST, "transit/keys/signing", json!({ "type": kind })).await;
    }

    async fn rotate(&self) {
        self.root(Method::POST, "transit/keys/signing/rotate", json!({})).await;
    }

    async fn configure(&self, config: Value) {
        self.root(Method::POST, "transit/keys/signing/config", config).await;
    }
}
