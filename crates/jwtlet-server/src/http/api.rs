//! One of the two APIs as the server calls it: its routes, and around them what every request gets.
//!
//! That is an id with a log span, and an answer also when the handler panics. It is one function around the whole router
//! and no layer of it: a layer costs each request a boxed future and a boxed copy of the service below.

use std::{
    any::Any,
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use axum::{
    BoxError, Router,
    body::{Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use tower::Service;
use tracing::{Instrument, debug, info_span};

use super::{request_id::RequestId, wording::fit};

/// Makes the answer to a request whose handler panicked.
pub(crate) type OnPanic = fn(Box<dyn Any + Send>) -> Response;

/// The routes of one API. Clones are the same API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    router: Router,
    panicked: OnPanic,
    product: Option<HeaderValue>,
}

impl Api {
    pub(super) fn new(router: Router, panicked: OnPanic) -> Self {
        Self { router, panicked, product: None }
    }

    /// With a `Server` header in every answer.
    pub(super) fn named(self, product: HeaderValue) -> Self {
        Self { product: Some(product), ..self }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// None; the type is what a server asks for.
    pub(crate) async fn answer<B>(mut self, mut request: Request<B>) -> Result<Response, Infallible>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let id = RequestId::of(request.headers());
        let span = info_span!("request", id = id.as_str(), method = %request.method(), path = %fit(request.uri().path()));
        request.extensions_mut().insert(id.clone());
        let routed = async { self.router.call(request).await };
        let mut response = caught(routed).instrument(span.clone()).await.unwrap_or_else(|panic| {
            let _entered = span.enter();
            Ok((self.panicked)(panic))
        })?;
        span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
        id.write(response.headers_mut());
        if let Some(product) = self.product {
            response.headers_mut().insert(header::SERVER, product);
        }
        Ok(response)
    }
}

/// The outcome of a future, or what it panicked with. The future is not polled again after a panic.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, response::IntoResponse, routing::get};

    use super::*;

    async fn fail() -> StatusCode {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_and_keeps_its_request_id() {
        let router = Router::new().route("/", get(fail));
        let api = Api::new(router, |_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("abc"));
        let response = api.answer(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-request-id"], "abc");
    }
}
