//! The server and its neighbours.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use jwtlet_testkit::{Kubernetes, TokenPolicy, Vault};
use jwtlet_upstream::{HttpClient, HttpSettings};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::DevError;
use crate::{
    app::{App, AppError},
    config::Config,
};

pub(super) const NAMESPACE: &str = "demo";
pub(super) const CONNECTOR: &str = "connector";
pub(super) const PROVISIONER: &str = "provisioner";
pub(super) const ADMIN: &str = "admin";
/// The accounts of `examples/dataspace`, so that its policy can be tried here.
const EXAMPLE_NAMESPACE: &str = "dataspace";
const EXAMPLE_ACCOUNTS: [&str; 4] = ["control-plane", "identity-hub", "provisioning-agent", "seed-job"];
pub(super) const CLIENT_AUDIENCE: &str = "jwtlet-exchange";
pub(super) const MANAGEMENT_AUDIENCE: &str = "jwtlet-management";
pub(super) const SERVICE_AUDIENCE: &str = "data-space";
const KEY_NAME: &str = "signing-jwtlet_pc";

/// Everything that runs. Dropping it stops the neighbours and removes the files.
pub(super) struct Environment {
    pub(super) kubernetes: Kubernetes,
    pub(super) exchange: SocketAddr,
    pub(super) management: SocketAddr,
    pub(super) http: HttpClient,
    _vault: Vault,
    files: TempDir,
    server: JoinHandle<Result<(), AppError>>,
    stop: CancellationToken,
}

impl Environment {
    pub(super) async fn start(exchange_port: u16, management_port: u16) -> Result<Self, DevError> {
        // Over TLS, because kubectl sends no token without.
        let kubernetes = Kubernetes::builder().tls(true).start().await?;
        for name in [CONNECTOR, PROVISIONER, ADMIN] {
            kubernetes.create_service_account(NAMESPACE, name);
        }
        for name in EXAMPLE_ACCOUNTS {
            kubernetes.create_service_account(EXAMPLE_NAMESPACE, name);
        }
        let vault = Vault::start().await?;
        let vault_token = vault.create_token(&TokenPolicy::signer_and_creator(KEY_NAME));
        // Only this user can look inside, and the name cannot be guessed.
        let private = fs::Permissions::from_mode(0o700);
        let files = tempfile::Builder::new().prefix("jwtlet-dev-").permissions(private).tempdir()?;
        write_private(&files.path().join("ca.crt"), &kubernetes.ca_pem().unwrap_or_default())?;
        write_private(&files.path().join("reviewer-token"), &kubernetes.reviewer_token())?;
        write_private(&files.path().join("vault-token"), &vault_token)?;
        write_private(&files.path().join("kubeconfig"), &kubernetes.kubeconfig())?;
        let config = files.path().join("jwtlet.toml");
        let text = config_text(&kubernetes, &vault, files.path(), exchange_port, management_port);
        write_private(&config, &text)?;

        let app = App::bind(Config::load(Some(&config), &[])?)?;
        let stop = CancellationToken::new();
        let environment = Self {
            kubernetes,
            exchange: app.exchange_address(),
            management: app.management_address(),
            http: loopback_client(),
            _vault: vault,
            files,
            server: tokio::spawn(app.run(stop.clone())),
            stop,
        };
        environment.wait_until_ready().await?;
        Ok(environment)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.files.path().join("kubeconfig")
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.files.path().join("ca.crt")
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.files.path().join("jwtlet.toml")
    }

    /// Stops the server the way a signal does, then the neighbours.
    pub(super) async fn shut_down(self) -> Result<(), DevError> {
        self.stop.cancel();
        Ok(self.server.await??)
    }

    async fn wait_until_ready(&self) -> Result<(), DevError> {
        let url = format!("http://{}/readyz", self.exchange);
        let poll = async {
            loop {
                let answer = self.http.send(self.http.get()?.get(&url)).await?;
                if answer.status == StatusCode::OK {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), poll)
            .await
            .unwrap_or(Err(DevError::NotReady(self.exchange)))
    }
}

fn loopback_client() -> HttpClient {
    HttpClient::new(HttpSettings {
        tls: false,
        ca_file: None,
        ca_file_optional: false,
        client_certificate: None,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(10),
    })
}

fn write_private(path: &Path, text: &str) -> Result<(), std::io::Error> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())?;
    fs::File::open(path)?.sync_all()
}

fn config_text(
    kubernetes: &Kubernetes,
    vault: &Vault,
    files: &Path,
    exchange_port: u16,
    management_port: u16,
) -> String {
    let (api_server, cluster_issuer, vault) = (kubernetes.url(), kubernetes.issuer(), vault.url());
    let files = files.display();
    // Without an issuer, tokens name the port that the server was given.
    format!(
        r#"bind = "127.0.0.1"
token_exchange_port = {exchange_port}
management_port = {management_port}

[k8s]
api_server_url = "{api_server}"
cluster_issuer = "{cluster_issuer}"
token_file = "{files}/reviewer-token"
ca_file = "{files}/ca.crt"

[token]
client_audience = "{CLIENT_AUDIENCE}"
audience = "{SERVICE_AUDIENCE}"
token_ttl_secs = 300

[management]
client_audience = "{MANAGEMENT_AUDIENCE}"

[vault]
url = "{vault}"
token_file = "{files}/vault-token"
key_name = "{KEY_NAME}"

[service_accounts]
"system:serviceaccount:{NAMESPACE}:{ADMIN}" = ["management:write"]
"#
    )
}
