//! Reading a request body: bounded in size and in time.

use std::time::Duration;

use axum::body::HttpBody;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// How long a client may take to send a body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads the whole body.
pub(crate) async fn read(body: Body, max_bytes: usize) -> Result<Bytes, BodyError> {
    // What is announced to be too large need not arrive first.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(TIMEOUT, Limited::new(body, max_bytes).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// There are several Content-Type headers; whoever looked at the request before may have believed another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Content-Type must be given once only")]
pub(crate) struct RepeatedContentType;

/// The media type without its parameters. Its letters may be of either case.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<&str>, RepeatedContentType> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(RepeatedContentType);
    }
    // What is not text is no media type that anybody knows.
    let text = value.map(|value| value.to_str().unwrap_or_default());
    Ok(text.map(|text| text.split(';').next().unwrap_or(text).trim()))
}
