//! `X-Request-Id`: taken over or made, returned, and on every log line of the request.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, debug, info_span};
use uuid::Uuid;

use super::wording::fit;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for handlers that write it down.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's id when it is 1 to 128 visible ASCII characters, and makes one otherwise.
    fn of(request: &Request) -> Self {
        let given = request.headers().get(X_REQUEST_ID);
        let usable = |id: &&HeaderValue| {
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        Self(given.filter(usable).cloned().unwrap_or_else(|| {
            let id = Uuid::new_v4().simple().to_string();
            HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
        }))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Gives every request an id and a log span.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let span = info_span!("request", id = id.as_str(), method = %request.method(), path = %fit(request.uri().path()));
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response
}
