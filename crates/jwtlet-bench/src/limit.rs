//! The limit: the HTTP stack of the server, reading the same requests and sending a fixed answer of the same size.
//!
//! What an exchange costs beyond this is jwtlet's own; what it costs below cannot be had with this stack.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::State, response::IntoResponse, routing::post};
use bytes::Bytes;
use http::header;
use serde::{Deserialize, Serialize};

use crate::{
    error::BenchError,
    helper::{Helper, tell, told},
};

/// As in the server.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How the limit runs.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Options {
    /// The size of the answer.
    #[arg(long)]
    body_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Listening {
    address: SocketAddr,
}

/// Serves until the input ends.
pub(crate) async fn serve(options: Options) -> Result<(), BenchError> {
    let failed = |cause| BenchError::Spawn("the limit", cause);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let router = Router::new().route("/token", post(answer)).with_state(body(options.body_bytes));
    let mut server = axum_server::from_tcp(socket).map_err(failed)?;
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT);
    let serving = tokio::spawn(server.serve(router.into_make_service()));
    tell(&Listening { address })?;
    let mut lines = told();
    while let Ok(Some(_)) = lines.next_line().await {}
    serving.abort();
    Ok(())
}

/// Takes the whole request in, as the server does, and says the same each time.
async fn answer(State(body): State<Bytes>, _request: Bytes) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
    ];
    (headers, body)
}

fn body(bytes: usize) -> Bytes {
    let frame = br#"{"access_token":""}"#.len();
    let token = "x".repeat(bytes.saturating_sub(frame).max(1));
    Bytes::from(format!(r#"{{"access_token":"{token}"}}"#))
}

/// The process, seen from the benchmark.
pub(crate) struct Limit {
    helper: Helper,
    pub(crate) address: SocketAddr,
}

impl Limit {
    pub(crate) async fn start(body_bytes: usize) -> Result<Self, BenchError> {
        let (helper, Listening { address }) =
            Helper::start("limit", &[format!("--body-bytes={body_bytes}")]).await?;
        Ok(Self { helper, address })
    }

    pub(crate) fn process_id(&self) -> Result<u32, BenchError> {
        self.helper.process_id()
    }
}
