//! The answers that faults send instead of the real one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{error, fmt};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame};
use tokio::time::{Sleep, sleep};

use crate::faults::Fault;

const PAGE: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works.</body></html>";
const CUT_JSON: &[u8] = br#"{"kind":"TokenReview","data":{"signature":"vault:v1:"#;
const CHUNK: usize = 16 * 1024;

/// The answer `fault` sends. `Hang` and `Close` have none and are handled by the connection.
pub(super) fn response(fault: Fault, method: &Method, path: &str) -> Response {
    let success = if *method == Method::POST && path.ends_with("/tokenreviews") {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    match fault {
        Fault::Status { code, headers, body } => with_headers(code, headers, body),
        Fault::Garbage => plain(success, "text/html; charset=utf-8", Body::from(PAGE)),
        Fault::Truncated => {
            let mut response = plain(success, "application/json", Body::new(Cut::new()));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(CUT_JSON.len() * 4));
            response
        }
        Fault::Oversized(bytes) => plain(success, "application/json", Body::new(Flood::new(bytes))),
        Fault::Redirect(location) => {
            with_headers(307, vec![("location".to_owned(), location)], String::new())
        }
        Fault::Hang | Fault::Close => plain(StatusCode::SERVICE_UNAVAILABLE, "text/plain", Body::empty()),
    }
}

fn plain(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with_headers(code: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Half an answer, and then an error that makes hyper drop the connection.
struct Cut {
    head: Option<Bytes>,
    pause: Pin<Box<Sleep>>,
}

impl Cut {
    fn new() -> Self {
        // The pause lets the first half leave the write buffer, which an error discards.
        Self { head: Some(Bytes::from_static(CUT_JSON)), pause: Box::pin(sleep(Duration::from_millis(20))) }
    }
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        ready!(self.pause.as_mut().poll(context));
        Poll::Ready(Some(Err(CutOff)))
    }
}

#[derive(Debug)]
struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl error::Error for CutOff {}

/// A valid JSON string of a given length, made as it is sent.
struct Flood {
    left: usize,
    opened: bool,
    closed: bool,
}

impl Flood {
    fn new(bytes: usize) -> Self {
        Self { left: bytes, opened: false, closed: false }
    }
}

impl HttpBody for Flood {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if !self.opened {
            self.opened = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(br#"{"data":""#)))));
        }
        if self.left > 0 {
            let size = self.left.min(CHUNK);
            self.left -= size;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'a'; size])))));
        }
        if !self.closed {
            self.closed = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(br#""}"#)))));
        }
        Poll::Ready(None)
    }
}
