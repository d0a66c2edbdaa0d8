//! What can end a measurement.

use std::{io, path::PathBuf, time::Duration};

use http::StatusCode;
use jwtlet_testkit::{KeyError, OpenBaoError, StartError};

/// A measurement, or a process that serves it, failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
    #[error("--only names a row that does not exist; the rows are: {0}")]
    NoRow(String),
    #[error("there is no server at {0}: build it with `cargo build --release -p jwtlet-server`")]
    NoServer(PathBuf),
    #[error("`cargo build` of the server failed")]
    Build,
    #[error("cannot {0}")]
    File(&'static str, #[source] io::Error),
    #[error("{0} cannot be started")]
    Spawn(&'static str, #[source] io::Error),
    #[error("{0} ended or said something else than expected")]
    Mute(&'static str),
    #[error("{0} said something else than expected")]
    Garbled(&'static str, #[source] serde_json::Error),
    #[error("a fake cannot be started")]
    Fake(#[from] StartError),
    #[error("the signing key cannot be made")]
    Key(#[from] KeyError),
    #[error(transparent)]
    OpenBao(#[from] OpenBaoError),
    #[error("the server ended at once; it wrote:\n{0}")]
    ServerEnded(String),
    #[error("the server was not ready after {0:?}; it wrote:\n{1}")]
    NotReady(Duration, String),
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("a connection broke")]
    Connection(#[source] io::Error),
    #[error("the server sent {0}")]
    Framing(&'static str),
    #[error("the HTTP call failed")]
    Http(#[from] hyper::Error),
    #[error("this is no request")]
    Request(#[from] http::Error),
    #[error("{call} is answered {status}: {body}")]
    Refused { call: &'static str, status: StatusCode, body: String },
    #[error("an answer of the token endpoint is not what it should be: {0}")]
    Answer(String),
    #[error("an issued token does not verify")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("an issued token has the kid {0}, which is not published")]
    UnknownKey(String),
    #[error("an issued token is for {0}")]
    WrongSubject(String),
    #[error("the row {0} has to be measured before this one")]
    NoReference(&'static str),
    #[error("{0} of the disturbing requests were answered with success")]
    Accepted(u64),
    #[error("cannot read {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{0} is no result of this program")]
    NoResult(PathBuf, #[source] serde_json::Error),
    #[error("the chart cannot be drawn")]
    Chart(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no exchange ended in the time measured")]
    Nothing,
    #[error("the load did not end within {0:?}")]
    Stuck(Duration),
    #[error("cannot read {0} of process {1}")]
    Proc(&'static str, u32, #[source] io::Error),
    #[error("{0} of process {1} has another form than expected")]
    ProcForm(&'static str, u32),
    #[error("callgrind left no total in {0}")]
    NoCount(PathBuf),
    #[error("PostgreSQL could not be used")]
    Postgres(#[from] jwtlet_testkit::PostgresError),
    #[error("a duration is not representable")]
    Histogram(#[source] hdrhistogram::CreationError),
}
