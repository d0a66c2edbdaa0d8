//! `X-Request-Id`: taken over or made, returned, and on every log line of the request.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Uuid, fmt::Simple};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's id when it is 1 to 128 visible ASCII characters, and makes one otherwise.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let usable = |id: &&HeaderValue| {
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        Self(headers.get(X_REQUEST_ID).filter(usable).cloned().unwrap_or_else(|| {
            let mut text = Uuid::encode_buffer();
            let id = Simple::from_uuid(Uuid::new_v4()).encode_lower(&mut text);
            HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
        }))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Puts it into an answer.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.0);
    }
}
