//! Reading a request body: bounded in size and in time.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

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
pub(crate) async fn read<B>(body: B, max_bytes: usize) -> Result<Bytes, BodyError>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    // What is announced to be too large need not arrive first.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut reading = pin!(Limited::new(body, max_bytes).collect());
    // Nearly always the body came along with the head, and then there is nothing to wait for and no timer to make.
    let read = match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
        Poll::Ready(read) => read,
        Poll::Pending => Box::pin(timeout(TIMEOUT, reading)).await.map_err(|_| BodyError::TooSlow)?,
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
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
