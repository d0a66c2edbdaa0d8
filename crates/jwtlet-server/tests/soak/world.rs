//! The server in this process, its neighbours, and what clients and verifiers do with it.

use std::{fs, time::Duration};

use jsonwebtoken::jwk::JwkSet;
use jwtlet_server::{App, Config, app::AppError};
use jwtlet_testkit::{KeyType, Kubernetes, TokenPolicy, Vault, wait_for};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many service accounts exchange, each with a context of its own.
pub(crate) const CLIENTS: usize = 30;
pub(crate) const KEY: &str = "signing-jwtlet_pc";
pub(crate) const AUDIENCE: &str = "data-space";
pub(crate) const ISSUER: &str = "https://jwtlet.example.com";
/// How long the server may take to become ready after everything is well again.
const RECOVERY: Duration = Duration::from_mins(1);
const EXCHANGE_AUDIENCE: &str = "jwtlet-exchange";
const MANAGEMENT_AUDIENCE: &str = "jwtlet-management";

pub(crate) struct World {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) vault: Vault,
    exchange: String,
    management: String,
    files: TempDir,
    http: Client,
    tokens: Vec<String>,
    _stop: DropGuard,
    _server: JoinHandle<Result<(), AppError>>,
}

impl World {
    /// A server that is ready and knows the policy.
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubernetes = Kubernetes::start().await.unwrap();
        let vault = Vault::start().await.unwrap();
        vault.create_key(KEY, KeyType::Ed25519).unwrap();
        kubernetes.create_service_account("ops", "admin");
        let mint = |index| {
            let name = format!("client-{index}");
            kubernetes.create_service_account("soak", &name);
            kubernetes.token("soak", &name).audience(EXCHANGE_AUDIENCE).expires_in(24 * 3600).mint()
        };
        let tokens = (0..CLIENTS).map(mint).collect();
        let files = tempfile::tempdir().unwrap();
        write(&files, "reviewer-token", &kubernetes.reviewer_token());
        write(&files, "vault-token", &vault.create_token(&TokenPolicy::signer(KEY)));
        write(&files, "jwtlet.toml", &config_text(&kubernetes, &vault, &files));

        let app = App::bind(Config::load(Some(&files.path().join("jwtlet.toml")), &[]).unwrap()).unwrap();
        let exchange = format!("http://{}", app.exchange_address());
        let management = format!("http://{}", app.management_address());
        let stop = CancellationToken::new();
        let server = tokio::spawn(app.run(stop.clone()));
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits but one")]
        let http =
            Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(20)).build().unwrap();
        let stop = stop.drop_guard();
        let world = Self {
            kubernetes,
            vault,
            exchange,
            management,
            files,
            http,
            tokens,
            _stop: stop,
            _server: server,
        };
        world.wait_until_ready().await;
        world.seed().await;
        world
    }

    async fn seed(&self) {
        let mapping = |index| {
            json!({
                "clientIdentifier": client(index), "participantContext": context(index), "scopes": [], "audiences": [],
            })
        };
        let mappings: Value = (0..CLIENTS).map(mapping).collect();
        let token = self.kubernetes.token("ops", "admin").audience(MANAGEMENT_AUDIENCE).mint();
        let request = self.http.post(format!("{}/api/v1/mappings", self.management)).bearer_auth(token);
        assert_eq!(request.json(&mappings).send().await.unwrap().status(), StatusCode::CREATED);
    }

    pub(crate) async fn wait_until_ready(&self) {
        let ready = async || {
            let answer = self.http.get(format!("{}/readyz", self.exchange)).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        };
        wait_for(ready, RECOVERY).await.unwrap();
    }

    /// An exchange of this client's token for its own context.
    pub(crate) async fn exchange(&self, index: usize) -> Result<Response, reqwest::Error> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", &self.tokens[index]),
            ("resource", &context(index)),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}/token", self.exchange));
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await
    }

    /// The keys that are published now.
    pub(crate) async fn published_keys(&self) -> Result<JwkSet, reqwest::Error> {
        let answer = self.http.get(format!("{}/.well-known/jwks.json", self.exchange)).send().await?;
        answer.error_for_status()?.json().await
    }

    pub(crate) fn replace_reviewer_token(&self, token: &str) {
        write(&self.files, "reviewer-token", token);
    }

    pub(crate) fn replace_vault_token(&self, token: &str) {
        write(&self.files, "vault-token", token);
    }

    pub(crate) fn vault_token(&self) -> String {
        fs::read_to_string(self.files.path().join("vault-token")).unwrap()
    }
}

/// The service account with this index.
pub(crate) fn client(index: usize) -> String {
    format!("system:serviceaccount:soak:client-{index}")
}

/// The context that only this client may act for.
pub(crate) fn context(index: usize) -> String {
    format!("context-{index}")
}

/// Replaces a file as kubelet and agents do: whole, by a rename.
fn write(files: &TempDir, name: &str, content: &str) {
    let next = files.path().join(format!("{name}.next"));
    fs::write(&next, content).unwrap();
    fs::rename(next, files.path().join(name)).unwrap();
}

fn config_text(kubernetes: &Kubernetes, vault: &Vault, files: &TempDir) -> String {
    let (api_server, cluster_issuer, vault) = (kubernetes.url(), kubernetes.issuer(), vault.url());
    let files = files.path().display();
    format!(
        r#"
        bind = "127.0.0.1"
        token_exchange_port = 0
        management_port = 0
        issuer = "{ISSUER}"
        [k8s]
        api_server_url = "{api_server}"
        cluster_issuer = "{cluster_issuer}"
        token_file = "{files}/reviewer-token"
        # Short, so that many exchanges need a review.
        review_cache_ttl = "1s"
        connect_timeout = "1s"
        request_timeout = "2s"
        [token]
        client_audience = "{EXCHANGE_AUDIENCE}"
        audience = "{AUDIENCE}"
        token_ttl_secs = 300
        [management]
        client_audience = "{MANAGEMENT_AUDIENCE}"
        [vault]
        url = "{vault}"
        token_file = "{files}/vault-token"
        key_name = "{KEY}"
        connect_timeout = "1s"
        request_timeout = "2s"
        [service_accounts]
        "system:serviceaccount:ops:admin" = ["management:write"]
        "#
    )
}
