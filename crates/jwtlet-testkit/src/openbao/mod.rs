//! A real OpenBao server, to keep the [`Vault`](crate::Vault) of this crate honest.
//!
//! Started in development mode: unsealed, with a known root token, all state in memory. The binary is not part of the
//! repository; `scripts/install-openbao` puts it in place. Whoever needs it and does not find it fails and says so:
//! a suite that skips itself proves nothing.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The release whose binary is expected.
const VERSION: &str = "2.7.2";
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to try again when another process takes the port.
const ATTEMPTS: u32 = 5;

/// A server could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenBaoError {
    /// The binary is missing.
    #[error(
        "there is no OpenBao at {0}: run scripts/install-openbao, or set JWTLET_BAO to the path of a bao binary"
    )]
    NotInstalled(PathBuf),
    /// Its private directory, its port or the process could not be had.
    #[error("cannot start OpenBao")]
    Start(#[source] io::Error),
    /// It ended or did not become healthy; what it wrote is here.
    #[error("OpenBao did not become healthy; it wrote:\n{0}")]
    NotHealthy(String),
    /// No HTTP exchange was possible.
    #[error("OpenBao does not answer")]
    Connect(#[source] io::Error),
    /// The HTTP exchange broke.
    #[error("the call to OpenBao failed")]
    Http(#[from] hyper::Error),
    /// The request could not be built.
    #[error("this is no request")]
    Request(#[from] http::Error),
    /// The answer is not JSON.
    #[error("the answer of OpenBao is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// A call that was expected to succeed did not.
    #[error("OpenBao answers {method} {path} with {status}: {body}")]
    Refused {
        /// The method.
        method: Method,
        /// The path, without `/v1/`.
        path: String,
        /// The status.
        status: StatusCode,
        /// The body.
        body: Value,
    },
}

/// A running server. It is killed when this is dropped.
pub struct OpenBao {
    child: Child,
    address: SocketAddr,
    root_token: String,
    unseal_key: String,
    // Dropped after the process has ended.
    _directory: PrivateDirectory,
}

impl fmt::Debug for OpenBao {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBao").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OpenBao {
    /// Starts a server on a free loopback port, with a transit engine at `transit`.
    ///
    /// # Errors
    /// [`OpenBaoError`] if the binary is missing or does not come up.
    pub async fn start() -> Result<Self, OpenBaoError> {
        let binary = binary();
        if !binary.is_file() {
            return Err(OpenBaoError::NotInstalled(binary));
        }
        let mut attempt = 1;
        let server = loop {
            match Self::launch(&binary).await {
                Err(OpenBaoError::NotHealthy(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        server.root(Method::POST, "sys/mounts/transit", &json!({ "type": "transit" })).await?;
        Ok(server)
    }

    /// The base URL, without a trailing slash and without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> String {
        self.root_token.clone()
    }

    /// Asks as root, with a path without `/v1/`; a body of `null` is not sent. An empty answer is `null`.
    ///
    /// # Errors
    /// [`OpenBaoError`] if there is no answer that can be read. Any status is an answer.
    pub async fn api(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), OpenBaoError> {
        self.api_in("", method, path, body).await
    }

    /// Like [`OpenBao::api`], in a namespace.
    ///
    /// # Errors
    /// [`OpenBaoError`] if there is no answer that can be read.
    pub async fn api_in(
        &self,
        namespace: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), OpenBaoError> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header(header::HOST, self.address.to_string())
            .header("x-vault-token", &self.root_token)
            .header("x-vault-namespace", namespace)
            .body(Full::new(body))?;
        let (status, body) = send(self.address, request).await?;
        Ok((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? }))
    }

    /// Asks as root and expects a status in the 200s.
    ///
    /// # Errors
    /// [`OpenBaoError::Refused`] for any other status.
    pub async fn root(&self, method: Method, path: &str, body: &Value) -> Result<Value, OpenBaoError> {
        match self.api(method.clone(), path, body).await? {
            (status, body) if status.is_success() => Ok(body),
            (status, body) => Err(OpenBaoError::Refused { method, path: path.to_owned(), status, body }),
        }
    }

    /// Creates a token with this policy text and nothing else.
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn create_token(&self, policy: &str) -> Result<String, OpenBaoError> {
        let name = self.create_policy(policy).await?;
        let body = json!({ "policies": [name], "no_default_policy": true });
        let answer = self.root(Method::POST, "auth/token/create", &body).await?;
        Ok(answer["auth"]["client_token"].as_str().unwrap_or_default().to_owned())
    }

    /// Stores a policy text and returns the name made up for it.
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn create_policy(&self, policy: &str) -> Result<String, OpenBaoError> {
        let name = Uuid::new_v4().to_string();
        self.root(Method::POST, &format!("sys/policies/acl/{name}"), &json!({ "policy": policy })).await?;
        Ok(name)
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn revoke_token(&self, token: &str) -> Result<(), OpenBaoError> {
        self.root(Method::POST, "auth/token/revoke", &json!({ "token": token })).await.map(|_| ())
    }

    /// Seals the server: everything is answered 503 until [`OpenBao::unseal`].
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn seal(&self) -> Result<(), OpenBaoError> {
        self.root(Method::POST, "sys/seal", &Value::Null).await.map(|_| ())
    }

    /// Unseals the server.
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn unseal(&self) -> Result<(), OpenBaoError> {
        self.root(Method::POST, "sys/unseal", &json!({ "key": self.unseal_key })).await.map(|_| ())
    }

    async fn launch(binary: &Path) -> Result<Self, OpenBaoError> {
        let directory = PrivateDirectory::create().map_err(OpenBaoError::Start)?;
        let address = free_address().map_err(OpenBaoError::Start)?;
        // The form that the server makes itself, with a leading `s.`, is refused here.
        let root_token = Uuid::new_v4().to_string();
        let output = directory.0.join("output");
        let child =
            spawn(binary, &directory.0, &output, address, &root_token).map_err(OpenBaoError::Start)?;
        let mut server =
            Self { child, address, root_token, unseal_key: String::new(), _directory: directory };
        let deadline = Instant::now() + PATIENCE;
        while !server.is_healthy().await {
            let ended = server.child.try_wait().map_err(OpenBaoError::Start)?.is_some();
            if ended || Instant::now() >= deadline {
                return Err(OpenBaoError::NotHealthy(fs::read_to_string(&output).unwrap_or_default()));
            }
            sleep(Duration::from_millis(20)).await;
        }
        // The keys are printed right after the port answers.
        while server.unseal_key.is_empty() {
            let text = fs::read_to_string(&output).map_err(OpenBaoError::Start)?;
            let key = text.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
            match key.filter(|_| text.contains("Root Token: ")) {
                Some(key) => key.trim().clone_into(&mut server.unseal_key),
                None if Instant::now() >= deadline => return Err(OpenBaoError::NotHealthy(text)),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
        Ok(server)
    }

    async fn is_healthy(&self) -> bool {
        let answer = self.api(Method::GET, "sys/health", &Value::Null).await;
        answer.is_ok_and(|(status, _)| status == StatusCode::OK)
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the binary is expected.
fn binary() -> PathBuf {
    let installed = || {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        workspace.join(format!(".tools/openbao-{VERSION}/bao"))
    };
    std::env::var_os("JWTLET_BAO").map_or_else(installed, PathBuf::from)
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn spawn(
    binary: &Path,
    directory: &Path,
    output: &Path,
    address: SocketAddr,
    root_token: &str,
) -> io::Result<Child> {
    let output = File::create(output)?;
    Command::new(binary)
        .args(["server", "-dev", "-dev-no-store-token"])
        .arg(format!("-dev-root-token-id={root_token}"))
        .arg(format!("-dev-listen-address={address}"))
        .env_clear()
        .env("HOME", directory)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()
}

async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), OpenBaoError> {
    let stream = TcpStream::connect(address).await.map_err(OpenBaoError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, body))
}

/// A directory that only this user can enter, removed with its content when this is dropped.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("jwtlet-openbao-{}", Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
