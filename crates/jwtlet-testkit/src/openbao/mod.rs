//! A real OpenBao server, to keep the [`Vault`](crate::Vault) of this crate honest.
//!
//! Started unsealed, with one unseal key that this handle knows. All state is in memory, unless it has to outlive a
//! restart. The binary is not part of the repository; `scripts/install-openbao` puts it in place. Whoever needs it and
//! does not find it fails and says so: a suite that skips itself proves nothing.

mod builder;
mod process;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
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

pub use builder::OpenBaoBuilder;
use process::Process;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at a server that starts.
const PAUSE: Duration = Duration::from_millis(20);

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
    process: Process,
    root_token: String,
    unseal_key: String,
}

impl fmt::Debug for OpenBao {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBao").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl OpenBao {
    /// Starts a server on a free loopback port, with a transit engine at `transit`.
    ///
    /// # Errors
    /// [`OpenBaoError`] if the binary is missing or does not come up.
    pub async fn start() -> Result<Self, OpenBaoError> {
        Self::builder().start().await
    }

    /// Starts one with other settings.
    pub fn builder() -> OpenBaoBuilder {
        OpenBaoBuilder::default()
    }

    /// The base URL, without a trailing slash and without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
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
            .header(header::HOST, self.address().to_string())
            .header("x-vault-token", &self.root_token)
            .header("x-vault-namespace", namespace)
            .body(Full::new(body))?;
        let (status, body) = send(self.address(), request).await?;
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

    /// Kills the process, as a crash would.
    ///
    /// # Errors
    /// [`OpenBaoError::Start`] if it cannot be had of the system.
    pub fn kill(&mut self) -> Result<(), OpenBaoError> {
        self.process.kill().map_err(OpenBaoError::Start)
    }

    /// Starts a new process on the same port after [`OpenBao::kill`], and unseals it. It has the state of the former one
    /// if that is on disk, and cannot be unsealed otherwise.
    ///
    /// # Errors
    /// [`OpenBaoError`].
    pub async fn restart(&mut self) -> Result<(), OpenBaoError> {
        self.process.start().map_err(OpenBaoError::Start)?;
        self.answers().await?;
        self.unseal().await?;
        self.becomes_healthy().await
    }

    /// Brings a process that was just started for the first time into service.
    async fn initialize(process: Process) -> Result<Self, OpenBaoError> {
        let mut server = Self { process, root_token: String::new(), unseal_key: String::new() };
        server.answers().await?;
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let secrets = server.root(Method::PUT, "sys/init", &shares).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        server.root_token = text(&secrets["root_token"]);
        server.unseal_key = text(&secrets["keys_base64"][0]);
        server.unseal().await?;
        server.becomes_healthy().await?;
        server.root(Method::POST, "sys/mounts/transit", &json!({ "type": "transit" })).await?;
        Ok(server)
    }

    fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Waits for any answer.
    async fn answers(&mut self) -> Result<(), OpenBaoError> {
        self.wait_for_health(|_| true).await
    }

    async fn becomes_healthy(&mut self) -> Result<(), OpenBaoError> {
        self.wait_for_health(|status| status == StatusCode::OK).await
    }

    async fn wait_for_health(&mut self, is_enough: fn(StatusCode) -> bool) -> Result<(), OpenBaoError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.api(Method::GET, "sys/health", &Value::Null).await;
            if answer.is_ok_and(|(status, _)| is_enough(status)) {
                return Ok(());
            }
            let ended = self.process.has_ended().map_err(OpenBaoError::Start)?;
            if ended || Instant::now() >= deadline {
                return Err(OpenBaoError::NotHealthy(self.process.output()));
            }
            sleep(PAUSE).await;
        }
    }
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
