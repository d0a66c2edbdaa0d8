//! jwtlet as a process, and what it needs around it.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use http::Method;
use jwtlet_testkit::{Kubernetes, OpenBao, Postgres, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Supervisor;

const KEY: &str = "signing-jwtlet_pc";
const CLIENT: &str = "system:serviceaccount:e2e:client";
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything ends when this is dropped.
pub(crate) struct World {
    // First, and its files last.
    _server: Supervisor,
    variables: BTreeMap<&'static str, String>,
    _bao: OpenBao,
    _kubernetes: Kubernetes,
    _postgres: Postgres,
    files: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
        let bao = OpenBao::start().await.unwrap();
        let postgres = Postgres::start().await.unwrap();
        trust_each_other(&bao, &kubernetes).await;
        project(&kubernetes, files.path());
        let (exchange, management) = free_ports();
        let mut server = Command::new(server_binary());
        let config = config(&kubernetes, &bao, files.path(), exchange, management);
        fs::write(files.path().join("config.toml"), config).unwrap();
        server.env_clear().arg(files.path().join("config.toml"));
        server.env("JWTLET__STORAGE_BACKEND__URL", postgres.database().await.unwrap());
        let server = Supervisor::start(server, files.path());
        let variables = variables(&kubernetes, &bao, files.path(), exchange, management);
        let world = Self {
            variables,
            files,
            _server: server,
            _bao: bao,
            _kubernetes: kubernetes,
            _postgres: postgres,
        };
        world.install_policy().await;
        world
    }

    /// The environment of the end-to-end tests.
    pub(crate) fn variables(&self) -> &BTreeMap<&'static str, String> {
        &self.variables
    }

    pub(crate) fn command_for_a_good_token(&self) -> &str {
        &self.variables["JWTLET_E2E_SUBJECT_TOKEN_COMMAND"]
    }

    /// What all processes of the server wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap()
    }

    /// What the policy job of the chart does on a cluster.
    async fn install_policy(&self) {
        let token = fs::read_to_string(self.files.path().join("management-token")).unwrap();
        let url = format!("{}api/v1/mappings", self.variables["JWTLET_E2E_MANAGEMENT_URL"]);
        let mapping =
            json!({"clientIdentifier": CLIENT, "participantContext": "installed", "scopes": []}).to_string();
        let is_created = async || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--max-time", "10", "--json", &mapping, &url]);
            curl.args(["--header", &format!("Authorization: Bearer {token}")]);
            tokio::task::spawn_blocking(move || curl.output().unwrap().status.success()).await.unwrap()
        };
        assert!(wait_for(is_created, PATIENCE).await.is_ok(), "{}", self.log());
    }
}

/// OpenBao asks Kubernetes about jwtlet's token, and lets it sign.
async fn trust_each_other(bao: &OpenBao, kubernetes: &Kubernetes) {
    kubernetes.create_service_account("vault", "vault");
    kubernetes.allow_reviews("vault", "vault");
    let root = async |path: &str, body: Value| {
        bao.root(Method::POST, path, &body).await.unwrap();
    };
    root(&format!("transit/keys/{KEY}"), json!({"type": "ed25519"})).await;
    root("sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
    let reviewer = kubernetes.token("vault", "vault").mint();
    let config = json!({
        "kubernetes_host": kubernetes.url(),
        "kubernetes_ca_cert": kubernetes.ca_pem(),
        "token_reviewer_jwt": reviewer,
        "disable_local_ca_jwt": true,
    });
    root("auth/kubernetes/config", config).await;
    // The same policy as on a cluster.
    let policy = bao.create_policy(include_str!("../../../../e2e/vault/policy.hcl")).await.unwrap();
    let role = json!({
        "bound_service_account_namespaces": ["jwtlet"],
        "bound_service_account_names": ["jwtlet"],
        "token_policies": [policy],
    });
    root("auth/kubernetes/role/jwtlet", role).await;
}

/// What a kubelet projects into pods.
fn project(kubernetes: &Kubernetes, directory: &Path) {
    kubernetes.create_service_account("e2e", "client");
    kubernetes.create_service_account("e2e", "admin");
    let token = |name: &str, audience: &str| kubernetes.token("e2e", name).audience(audience).mint();
    for (file, text) in [
        ("kubernetes-ca.pem", kubernetes.ca_pem().unwrap()),
        ("reviewer-token", kubernetes.reviewer_token()),
        ("exchange-token", token("client", "jwtlet-exchange")),
        ("foreign-token", token("client", "somebody-else")),
        ("management-token", token("admin", "jwtlet-management")),
    ] {
        fs::write(directory.join(file), text).unwrap();
    }
}

fn config(kubernetes: &Kubernetes, bao: &OpenBao, files: &Path, exchange: u16, management: u16) -> String {
    let (kubernetes_url, cluster_issuer) = (kubernetes.url(), kubernetes.issuer());
    let (vault, files) = (bao.url(), files.display());
    format!(
        r#"
        issuer = "http://jwtlet.example.com"
        bind = "127.0.0.1"
        token_exchange_port = {exchange}
        management_port = {management}
        [storage_backend]
        type = "postgres"
        [k8s]
        api_server_url = "{kubernetes_url}"
        cluster_issuer = "{cluster_issuer}"
        token_file = "{files}/reviewer-token"
        ca_file = "{files}/kubernetes-ca.pem"
        [token]
        client_audience = "jwtlet-exchange"
        audience = "e2e"
        [management]
        client_audience = "jwtlet-management"
        [vault]
        url = "{vault}"
        kubernetes_role = "jwtlet"
        [service_accounts]
        "system:serviceaccount:e2e:admin" = ["management:write"]
        "#
    )
}

fn variables(
    kubernetes: &Kubernetes,
    bao: &OpenBao,
    files: &Path,
    exchange: u16,
    management: u16,
) -> BTreeMap<&'static str, String> {
    let directory = files.display();
    let key = format!("{}/v1/transit/keys/{KEY}", bao.url());
    fs::write(files.join("vault-header"), format!("X-Vault-Token: {}", bao.root_token())).unwrap();
    let curl = format!("curl --silent --show-error --fail --max-time 10 --header @{directory}/vault-header");
    BTreeMap::from([
        ("JWTLET_E2E_EXCHANGE_URL", format!("http://127.0.0.1:{exchange}")),
        ("JWTLET_E2E_MANAGEMENT_URL", format!("http://127.0.0.1:{management}/")),
        ("JWTLET_E2E_ISSUER", "http://jwtlet.example.com".into()),
        ("JWTLET_E2E_CLUSTER_ISSUER", kubernetes.issuer().into()),
        ("JWTLET_E2E_AUDIENCE", "e2e".into()),
        ("JWTLET_E2E_CLIENT", CLIENT.into()),
        ("JWTLET_E2E_INSTALLED_CONTEXT", "installed".into()),
        ("JWTLET_E2E_SUBJECT_TOKEN_COMMAND", format!("cat {directory}/exchange-token")),
        ("JWTLET_E2E_FOREIGN_TOKEN_COMMAND", format!("cat {directory}/foreign-token")),
        ("JWTLET_E2E_MANAGEMENT_TOKEN_COMMAND", format!("cat {directory}/management-token")),
        (
            "JWTLET_E2E_RESTART_COMMAND",
            format!(
                "cd {directory}; old=$(cat pid); kill -TERM $old; \
                 while [ $(cat pid) = $old ]; do sleep 0.1; done"
            ),
        ),
        ("JWTLET_E2E_ROTATE_COMMAND", format!("{curl} --request POST {key}/rotate")),
        (
            "JWTLET_E2E_RETIRE_COMMAND",
            format!(
                "newest=$({curl} {key} | sed 's/.*\"latest_version\":\\([0-9]*\\).*/\\1/'); \
                 {curl} --json \"{{\\\"min_decryption_version\\\": $newest}}\" {key}/config"
            ),
        ),
    ])
}

fn free_ports() -> (u16, u16) {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (one, other) = (bind(), bind());
    (one.local_addr().unwrap().port(), other.local_addr().unwrap().port())
}

/// The released server where the environment names one, that of this build otherwise.
fn server_binary() -> PathBuf {
    let built = || Path::new(env!("CARGO_BIN_EXE_jwtlet-e2e")).with_file_name("jwtlet-server");
    let binary = std::env::var_os("JWTLET_RELEASE_BINARY").map_or_else(built, PathBuf::from);
    assert!(binary.is_file(), "{} is missing: cargo build -p jwtlet-server", binary.display());
    binary
}
