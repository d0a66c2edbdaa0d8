//! What can go wrong in the development mode.

use std::{io, net::SocketAddr};

use http::StatusCode;
use jwtlet_upstream::HttpError;

use crate::{app::AppError, config::ConfigError};

#[derive(Debug, thiserror::Error)]
pub(super) enum DevError {
    #[error("cannot start a neighbour")]
    Neighbour(#[from] jwtlet_testkit::StartError),
    #[error("cannot write a temporary file")]
    File(#[from] io::Error),
    #[error("the configuration of the development mode is not good")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the server ended early")]
    Ended(#[from] tokio::task::JoinError),
    #[error("the server at {0} did not become ready in time")]
    NotReady(SocketAddr),
    #[error("a call to the server failed")]
    Http(#[from] HttpError),
    #[error("a call could not be built")]
    Request(#[from] reqwest::Error),
    #[error("{call} was answered with {status}: {body}")]
    Refused { call: &'static str, status: StatusCode, body: String },
    #[error("the answer of {0} lacks a member")]
    Incomplete(&'static str),
    #[error("the issued token does not verify with the published keys")]
    Verification(#[from] jsonwebtoken::errors::Error),
    #[error("the published keys lack the one that signed: {0}")]
    UnknownKey(String),
}
