//! The server under test: its binary, its configuration, its policy.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    client,
    database::Database,
    environment::{
        AUDIENCE, CONTEXT, EXCHANGE_AUDIENCE, KEY, MANAGEMENT_AUDIENCE, NAMESPACE, OPERATOR, client_name,
    },
    error::BenchError,
    fakes::Neighbours,
    scenario::Tuning,
    signer::Signer,
};

/// How long a server that runs at its own speed may take to become ready.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How many records are sent to the management API at a time.
const RECORDS: usize = 1000;

/// What the server under test knows.
pub(crate) struct Policy {
    /// Service accounts with a mapping each.
    pub(crate) clients: usize,
    /// Mappings of others.
    pub(crate) others: u32,
    /// All of them are granted to everybody.
    pub(crate) scopes: Vec<String>,
}

/// A server that is ready and knows the policy. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) exchange: SocketAddr,
    management: SocketAddr,
    files: TempDir,
}

impl Server {
    /// Starts the program of this command, which may be one around the server, and waits until it is ready.
    pub(crate) async fn start(
        mut command: Command,
        patience: Duration,
        neighbours: &Neighbours,
        signer: &Signer,
        tuning: Tuning,
        database: &Database,
    ) -> Result<Self, BenchError> {
        let failed = |cause| BenchError::Spawn("the server", cause);
        let files = tempfile::Builder::new().prefix("jwtlet-bench-").tempdir().map_err(failed)?;
        fs::write(files.path().join("reviewer-token"), &neighbours.reviewer_token).map_err(failed)?;
        fs::write(files.path().join("vault-token"), &signer.token).map_err(failed)?;
        let (exchange, management) = free_addresses().map_err(failed)?;
        let config = files.path().join("jwtlet.toml");
        let text = config_text(files.path(), (exchange, management), neighbours, signer, tuning, database);
        fs::write(&config, text).map_err(failed)?;
        let log = fs::File::create(files.path().join("log")).map_err(failed)?;
        let child = command
            .arg(&config)
            // One line for each exchange is a choice of the operator's; here it would measure the disk.
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut server = Self { child, exchange, management, files };
        server.wait_until_ready(patience).await?;
        Ok(server)
    }

    pub(crate) fn process_id(&self) -> Result<u32, BenchError> {
        self.child.id().ok_or_else(|| BenchError::ServerEnded(self.log()))
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    /// The issuer of its tokens.
    pub(crate) fn issuer(&self) -> String {
        issuer(self.exchange)
    }

    /// Keeps it from running until [`Self::resume`].
    pub(crate) async fn stop(&self) -> Result<(), BenchError> {
        self.signal("-STOP").await
    }

    /// Lets it run again.
    pub(crate) async fn resume(&self) -> Result<(), BenchError> {
        self.signal("-CONT").await
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn terminate(mut self, patience: Duration) -> Result<(), BenchError> {
        self.signal("-TERM").await?;
        match timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => Err(BenchError::ServerEnded(self.log())),
        }
    }

    async fn signal(&self, name: &str) -> Result<(), BenchError> {
        let failed = |cause| BenchError::Spawn("kill", cause);
        let process = self.process_id()?.to_string();
        let mut command = Command::new("sh");
        let status =
            command.args(["-c", "kill \"$@\"", "kill", name, &process]).status().await.map_err(failed)?;
        if status.success() { Ok(()) } else { Err(BenchError::ServerEnded(self.log())) }
    }

    async fn wait_until_ready(&mut self, patience: Duration) -> Result<(), BenchError> {
        let deadline = Instant::now() + patience;
        loop {
            let request = client::get(self.exchange, "/readyz")?;
            if client::call("GET /readyz", self.exchange, request, StatusCode::OK).await.is_ok() {
                return Ok(());
            }
            if self.child.try_wait().map_err(|cause| BenchError::Spawn("the server", cause))?.is_some() {
                return Err(BenchError::ServerEnded(self.log()));
            }
            if Instant::now() >= deadline {
                return Err(BenchError::NotReady(patience, self.log()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// One mapping for each client and the mappings of others, and the scopes.
    pub(crate) async fn seed(&self, neighbours: &Neighbours, policy: &Policy) -> Result<(), BenchError> {
        let scopes: Value =
            policy.scopes.iter().enumerate().map(|(index, scope)| scope_mapping(index, scope)).collect();
        self.create("POST /api/v1/scopes", "/api/v1/scopes", &scopes, neighbours).await?;
        let clients = (0..policy.clients).map(client_name);
        let others = (0..policy.others).map(|index| format!("other-{index}"));
        let accounts: Vec<String> = clients.chain(others).collect();
        for accounts in accounts.chunks(RECORDS) {
            let mapping = |name: &String| {
                json!({
                    "clientIdentifier": format!("system:serviceaccount:{NAMESPACE}:{name}"),
                    "participantContext": CONTEXT,
                    "scopes": policy.scopes,
                    "audiences": [],
                })
            };
            let mappings: Value = accounts.iter().map(mapping).collect();
            self.create("POST /api/v1/mappings", "/api/v1/mappings", &mappings, neighbours).await?;
        }
        Ok(())
    }

    async fn create(
        &self,
        call: &'static str,
        path: &str,
        records: &Value,
        neighbours: &Neighbours,
    ) -> Result<Bytes, BenchError> {
        let mut request = client::post_json(self.management, path, records)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", neighbours.operator_token));
        request.headers_mut().insert(header::AUTHORIZATION, bearer.map_err(http::Error::from)?);
        client::call(call, self.management, request, StatusCode::CREATED).await
    }
}

/// The first scope has one claim. The others have claims that merge by every rule: words, lists, equal values.
fn scope_mapping(index: usize, scope: &str) -> Value {
    if index == 0 {
        return json!({"scope": scope, "claims": {"scope": scope}});
    }
    let roles = json!(["reader", format!("reader-of-{index}")]);
    json!({"scope": scope, "claims": {"scope": scope, "roles": roles, "tier": "standard"}})
}

/// Two free ports. Another process could take one before the server does, which then says so.
fn free_addresses() -> std::io::Result<(SocketAddr, SocketAddr)> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (one, other) = (bind()?, bind()?);
    Ok((one.local_addr()?, other.local_addr()?))
}

fn issuer(exchange: SocketAddr) -> String {
    format!("http://{exchange}")
}

fn config_text(
    files: &Path,
    (exchange, management): (SocketAddr, SocketAddr),
    neighbours: &Neighbours,
    signer: &Signer,
    tuning: Tuning,
    database: &Database,
) -> String {
    let Neighbours { kubernetes_url, cluster_issuer, .. } = neighbours;
    format!(
        r#"issuer = "{issuer}"
bind = "127.0.0.1"
token_exchange_port = {exchange_port}
management_port = {management_port}

[storage_backend]
{storage_lines}

[k8s]
api_server_url = "{kubernetes_url}"
cluster_issuer = "{cluster_issuer}"
token_file = "{files}/reviewer-token"
{kubernetes_lines}
[token]
client_audience = "{EXCHANGE_AUDIENCE}"
audience = "{AUDIENCE}"

[management]
client_audience = "{MANAGEMENT_AUDIENCE}"

[vault]
url = "{vault_url}"
token_file = "{files}/vault-token"
key_name = "{KEY}"
{vault_lines}
[service_accounts]
"system:serviceaccount:{NAMESPACE}:{OPERATOR}" = ["management:write"]
"#,
        issuer = issuer(exchange),
        exchange_port = exchange.port(),
        management_port = management.port(),
        files = files.display(),
        storage_lines = database.lines(files),
        vault_url = signer.url,
        kubernetes_lines = tuning.kubernetes_lines(),
        vault_lines = tuning.vault_lines(),
    )
}

/// The binary to measure: the given one, or the one next to this program, brought up to date first.
pub(crate) async fn binary(given: Option<&Path>) -> Result<PathBuf, BenchError> {
    if let Some(path) = given {
        return existing(path.to_owned());
    }
    let directory = own_directory()?;
    let profile = directory.file_name().and_then(|name| name.to_str()).ok_or(BenchError::Build)?;
    build(&directory, if profile == "debug" { "dev" } else { profile }).await
}

/// The release build in the target directory of this program, however that is built, brought up to date first.
pub(crate) async fn release_binary() -> Result<PathBuf, BenchError> {
    build(&own_directory()?.with_file_name("release"), "release").await
}

/// A binary that was built before.
pub(crate) fn existing(path: PathBuf) -> Result<PathBuf, BenchError> {
    if path.is_file() { Ok(path) } else { Err(BenchError::NoServer(path)) }
}

fn own_directory() -> Result<PathBuf, BenchError> {
    let program = std::env::current_exe().map_err(|cause| BenchError::Spawn("cargo", cause))?;
    program.parent().map(Path::to_owned).ok_or(BenchError::Build)
}

/// Builds the server with this profile, whose results are in this directory. Takes no time when nothing changed.
async fn build(directory: &Path, profile: &str) -> Result<PathBuf, BenchError> {
    let target = directory.parent().ok_or(BenchError::Build)?;
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--package", "jwtlet-server", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .await
        .map_err(|cause| BenchError::Spawn("cargo", cause))?;
    if status.success() { existing(directory.join("jwtlet-server")) } else { Err(BenchError::Build) }
}
