//! A running server with its neighbours, and short ways to ask it.

use std::{fmt, fs, time::Duration};

use jwtlet_server::{App, Config, app::AppError};
use jwtlet_testkit::{Kubernetes, TokenPolicy, Vault, wait_for};
use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const EXCHANGE_AUDIENCE: &str = "jwtlet-exchange";
pub(crate) const MANAGEMENT_AUDIENCE: &str = "jwtlet-management";
pub(crate) const KEY: &str = "signing-jwtlet_pc";
pub(crate) const CONNECTOR: &str = "system:serviceaccount:demo:connector";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A server in this process on free ports, with its Kubernetes and its Vault.
///
/// Kubernetes knows the service accounts `demo:connector` and `ops:{admin,reader,mapper,scoper,nobody}`; there is no
/// policy yet.
pub(crate) struct Harness {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) vault: Vault,
    /// `http://127.0.0.1:port` of the exchange API.
    pub(crate) exchange: String,
    /// `http://127.0.0.1:port` of the management API.
    pub(crate) management: String,
    /// Holds `reviewer-token` and `vault-token`.
    pub(crate) files: TempDir,
    pub(crate) http: Client,
    pub(crate) stop: CancellationToken,
    pub(crate) server: JoinHandle<Result<(), AppError>>,
}

impl Harness {
    /// A server that is ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server that is ready, with variables laid over its configuration: `("JWTLET__TOKEN__AUDIENCE", "other")`.
    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Self {
        let harness =
            Self::launch(Kubernetes::start().await.unwrap(), Vault::start().await.unwrap(), variables).await;
        harness.wait_until_ready().await;
        harness
    }

    /// A server that is ready and has the default issuer, its own address: who trusts it finds its keys by discovery.
    pub(crate) async fn start_as_issuer(vault: Vault, variables: &[(&str, &str)]) -> Self {
        let harness = Self::launch_as("", Kubernetes::start().await.unwrap(), vault, variables).await;
        harness.wait_until_ready().await;
        harness
    }

    /// A server that is live and may not become ready, in front of these neighbours.
    pub(crate) async fn launch(kubernetes: Kubernetes, vault: Vault, variables: &[(&str, &str)]) -> Self {
        Self::launch_as(r#"issuer = "https://jwtlet.example.com""#, kubernetes, vault, variables).await
    }

    async fn launch_as(
        issuer: &str,
        kubernetes: Kubernetes,
        vault: Vault,
        variables: &[(&str, &str)],
    ) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        kubernetes.create_service_account("demo", "connector");
        for name in ["admin", "reader", "mapper", "scoper", "nobody"] {
            kubernetes.create_service_account("ops", name);
        }
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("reviewer-token"), kubernetes.reviewer_token()).unwrap();
        let vault_token = vault.create_token(&TokenPolicy::signer_and_creator(KEY));
        fs::write(files.path().join("vault-token"), vault_token).unwrap();
        let file = files.path().join("jwtlet.toml");
        let mut text = config_text(issuer, &kubernetes, &vault, &files);
        if variables.iter().any(|(name, _)| *name == "JWTLET__VAULT__KUBERNETES_ROLE") {
            text = text.replace(&format!("token_file = \"{}/vault-token\"", files.path().display()), "");
        }
        fs::write(&file, text).unwrap();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();

        let app = App::bind(Config::load(Some(&file), &variables).unwrap()).unwrap();
        let certificate = variables.iter().find(|(name, _)| name == "JWTLET__TLS__CERT_FILE");
        // A certificate without an authority is its own.
        let trusted = certificate.map(|(_, file)| Certificate::from_pem(&fs::read(file).unwrap()).unwrap());
        let scheme = if trusted.is_some() { "https" } else { "http" };
        let exchange = format!("{scheme}://{}", app.exchange_address());
        let management = format!("{scheme}://{}", app.management_address());
        let stop = CancellationToken::new();
        let server = tokio::spawn(app.run(stop.clone()));
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
        let http = Client::builder().no_proxy().tls_certs_only(trusted).build().unwrap();
        let harness = Self { kubernetes, vault, exchange, management, files, http, stop, server };
        assert_eq!(harness.get("/livez").await.status, 200);
        harness
    }

    /// The issuer of a server that was started as its own.
    pub(crate) fn issuer(&self) -> String {
        self.exchange.replace("127.0.0.1", "localhost")
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.http
            .get(format!("{}/readyz", self.exchange))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    }

    pub(crate) async fn wait_until_ready(&self) {
        wait_for(async || self.is_ready().await, PATIENCE).await.unwrap();
    }

    pub(crate) async fn wait_until_not_ready(&self) {
        wait_for(async || !self.is_ready().await, PATIENCE).await.unwrap();
    }

    /// A current token of `demo:connector`, good for an exchange.
    pub(crate) fn subject_token(&self) -> String {
        self.kubernetes.token("demo", "connector").audience(EXCHANGE_AUDIENCE).mint()
    }

    /// A current token of this service account in `ops`, good for the management API.
    pub(crate) fn operator_token(&self, name: &str) -> String {
        self.kubernetes.token("ops", name).audience(MANAGEMENT_AUDIENCE).mint()
    }

    /// Creates resource mappings: (client, context, scopes, audiences).
    pub(crate) async fn map(&self, client: &str, context: &str, scopes: &[&str], audiences: &[&str]) {
        let mapping = json!({
            "clientIdentifier": client, "participantContext": context, "scopes": scopes, "audiences": audiences,
        });
        let answer = self.manage(Method::POST, "/mappings", "admin", Some(&mapping)).await;
        assert_eq!(answer.status, 201, "{answer}");
    }

    /// Creates a scope mapping.
    pub(crate) async fn map_scope(&self, scope: &str, claims: Value) {
        let mapping = json!({"scope": scope, "claims": claims});
        let answer = self.manage(Method::POST, "/scopes", "admin", Some(&mapping)).await;
        assert_eq!(answer.status, 201, "{answer}");
    }

    /// A call to the management API (path below `/api/v1`) as this service account in `ops`.
    pub(crate) async fn manage(
        &self,
        method: Method,
        path: &str,
        operator: &str,
        body: Option<&Value>,
    ) -> Answer {
        let request = self.management_request(method, path, operator);
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// The same call, not sent yet: for other bodies and headers.
    pub(crate) fn management_request(&self, method: Method, path: &str, operator: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.management);
        self.http.request(method, url).bearer_auth(self.operator_token(operator))
    }

    /// An exchange of a current token of `demo:connector` with these further parameters.
    pub(crate) async fn exchange(&self, parameters: &[(&str, &str)]) -> Answer {
        self.exchange_token(&self.subject_token(), parameters).await
    }

    /// An exchange of this subject token with these further parameters.
    pub(crate) async fn exchange_token(&self, subject_token: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", JWT),
            ("subject_token", subject_token),
        ];
        form.extend_from_slice(parameters);
        self.post_form(&form).await
    }

    /// `POST /token` with exactly these parameters.
    pub(crate) async fn post_form(&self, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post_body("application/x-www-form-urlencoded", body).await
    }

    /// `POST /token` with exactly this body.
    pub(crate) async fn post_body(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(format!("{}/token", self.exchange)).header("content-type", content_type);
        Answer::of(request.body(body)).await
    }

    /// `GET` on the exchange API.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(format!("{}{path}", self.exchange))).await
    }
}

fn config_text(issuer: &str, kubernetes: &Kubernetes, vault: &Vault, files: &TempDir) -> String {
    let (api_server, cluster_issuer, vault) = (kubernetes.url(), kubernetes.issuer(), vault.url());
    let files = files.path().display();
    format!(
        r#"
        bind = "127.0.0.1"
        token_exchange_port = 0
        management_port = 0
        {issuer}
        [k8s]
        api_server_url = "{api_server}"
        cluster_issuer = "{cluster_issuer}"
        review_cache_ttl = "0s"
        token_file = "{files}/reviewer-token"
        connect_timeout = "2s"
        request_timeout = "2s"
        [token]
        client_audience = "{EXCHANGE_AUDIENCE}"
        audience = "data-space"
        token_ttl_secs = 300
        [management]
        client_audience = "{MANAGEMENT_AUDIENCE}"
        [vault]
        url = "{vault}"
        token_file = "{files}/vault-token"
        key_name = "{KEY}"
        request_timeout = "2s"
        [service_accounts]
        "system:serviceaccount:ops:admin" = ["management:write"]
        "system:serviceaccount:ops:reader" = ["jwtlet:management:read"]
        "system:serviceaccount:ops:mapper" = ["jwtlet:management:mappings:write"]
        "system:serviceaccount:ops:scoper" = ["jwtlet:management:scope:write"]
        "#
    )
}

/// An answer as a test looks at it. Displays as status, the headers that matter, and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The issued token of a successful exchange.
    pub(crate) fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{self}");
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// The header of the issued token, not verified.
    pub(crate) fn token_header(&self) -> Value {
        part(&self.access_token(), 0)
    }

    /// The claims of the issued token, not verified.
    pub(crate) fn claims(&self) -> Value {
        part(&self.access_token(), 1)
    }

    /// The same as displayed, without the issued token.
    pub(crate) fn redacted(&self) -> String {
        self.to_string().replace(&self.access_token(), "[token]")
    }
}

fn part(token: &str, index: usize) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let json = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for name in ["content-type", "cache-control", "pragma", "allow", "retry-after", "www-authenticate"] {
            if let Some(value) = self.header(name) {
                writeln!(f, "{name}: {value}")?;
            }
        }
        f.write_str(&self.body)
    }
}
