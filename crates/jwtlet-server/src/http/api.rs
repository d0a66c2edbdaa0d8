//! One of the two APIs as the server calls it: its routes, and around them what every request gets.
//!
//! That is an id with a log span, and an answer also when the handler panics. It is one function around the whole router
//! and no layer of it: a layer costs each request a boxed future and a boxed copy of the service below. An exchange does
//! not even go through the router, whose ways cost as much as all that an exchange does with its form.

use std::{
    any::Any,
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use axum::{
    BoxError, Router,
    body::{Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use jwtlet_upstream::trace;
use opentelemetry::trace::{TraceContextExt, TraceId};
use tower::Service as _;
use tracing::{
    Span, debug,
    field::{self, Empty},
    info_span,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    Service,
    error::{OAuthError, Problem, SOURCE_LIMIT},
    oauth, probe,
    request_id::RequestId,
    wording::fit,
};
use crate::{
    limits::{Sources, TooMany},
    metrics::{ApiName, NO_ROUTE, Reason},
};

/// Names the trace of a caller (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// Makes the answer to a request whose handler panicked.
pub(crate) type OnPanic = fn(Box<dyn Any + Send>) -> Response;

/// The routes of one API. Clones are the same API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    router: Router,
    name: ApiName,
    service: Arc<Service>,
    panicked: OnPanic,
    product: Option<HeaderValue>,
    sources: Option<Arc<Sources>>,
}

impl Api {
    pub(super) fn new(name: ApiName, router: Router, service: Arc<Service>, panicked: OnPanic) -> Self {
        Self { router, name, service, panicked, product: None, sources: None }
    }

    /// With a `Server` header in every answer.
    pub(super) fn named(self, product: HeaderValue) -> Self {
        Self { product: Some(product), ..self }
    }

    /// With a limit for each source.
    pub(super) fn limited(self, sources: Option<Arc<Sources>>) -> Self {
        Self { sources, ..self }
    }

    /// Answers one request of this peer.
    ///
    /// # Errors
    /// None; the type is what a server asks for.
    pub(crate) async fn answer<B>(
        mut self,
        mut request: Request<B>,
        peer: IpAddr,
    ) -> Result<Response, Infallible>
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let metrics = &self.service.metrics;
        let _in_flight = metrics.begin(self.name);
        let method = request.method().clone();
        let id = RequestId::of(request.headers());
        let span = info_span!(
            "request",
            id = id.as_str(),
            trace_id = Empty,
            method = %request.method(),
            path = %fit(request.uri().path()),
        );
        if !span.is_disabled() {
            join_trace(&span, request.headers());
        }
        let admitted = self.sources.as_ref().map_or(Ok(()), |sources| admit(sources, &request, peer));
        let routed = {
            // Pinned here and not handed on by value: each function that takes a future keeps room for it twice.
            let mut routing = pin!(async {
                if let Err(limit) = admitted {
                    let is_exchange = self.name == ApiName::Exchange && request.uri().path() == oauth::PATH;
                    return Ok(refuse(&self.service, limit, is_exchange));
                }
                if self.name == ApiName::Exchange && oauth::is_exchange(&request) {
                    return Ok(oauth::token(&self.service, request).await);
                }
                request.extensions_mut().insert(id.clone());
                self.router.call(request).await
            });
            poll_fn(|context| span.in_scope(|| caught(|| routing.as_mut().poll(context)))).await
        };
        let mut response =
            routed.unwrap_or_else(|panic| Ok(span.in_scope(|| self.contain(&method, panic))))?;
        span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
        id.write(response.headers_mut());
        if let Some(product) = self.product {
            response.headers_mut().insert(header::SERVER, product);
        }
        Ok(response)
    }

    /// The answer to a request whose handler panicked.
    fn contain(&self, method: &Method, panic: Box<dyn Any + Send>) -> Response {
        let response = (self.panicked)(panic);
        match self.name {
            ApiName::Exchange => self.service.metrics.exchanged(Reason::Internal),
            ApiName::Management => {
                self.service.metrics.management.answered(NO_ROUTE, method, response.status());
            }
        }
        response
    }
}

/// Makes the span a part of the trace that the caller began, and names the trace on the lines of the request. While nothing
/// is exported there is no span to make a part of it, and the name is the caller's.
fn join_trace(span: &Span, headers: &HeaderMap) {
    let context = if trace::is_exporting() {
        // Refused only for a span that has begun already.
        let _ = span.set_parent(trace::accepted(headers));
        span.context()
    } else if headers.contains_key(TRACEPARENT) {
        trace::accepted(headers)
    } else {
        return;
    };
    let trace = context.span().span_context().trace_id();
    if trace != TraceId::INVALID {
        span.record("trace_id", field::display(trace));
    }
}

/// Counts a request of this peer, unless it is a probe.
fn admit<B>(sources: &Sources, request: &Request<B>, peer: IpAddr) -> Result<(), TooMany> {
    if probe::is_probe(request.uri().path()) { Ok(()) } else { sources.admit(peer, request.headers()) }
}

/// The answer to a source that asks too often.
fn refuse(service: &Service, TooMany { retry_after }: TooMany, is_exchange: bool) -> Response {
    debug!("a source asks too often");
    if is_exchange {
        service.metrics.exchanged(Reason::Limited);
        OAuthError::too_many(SOURCE_LIMIT, retry_after).into_response()
    } else {
        Problem::too_many(SOURCE_LIMIT, retry_after).into_response()
    }
}

/// What a poll came to, or what it panicked with. The future is not to be polled again after a panic.
fn caught<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, Box<dyn Any + Send>>> {
    catch_unwind(AssertUnwindSafe(poll)).map_or_else(|panic| Poll::Ready(Err(panic)), |poll| poll.map(Ok))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, routing::get};
    use jiff::Timestamp;

    use super::*;
    use crate::metrics::{Format, page};

    async fn fail() -> StatusCode {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_and_keeps_its_request_id() {
        let router = Router::new().route("/", get(fail));
        let service = Arc::new(crate::app::service_of_a_test());
        let panicked: OnPanic = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
        let api = Api::new(ApiName::Management, router, Arc::clone(&service), panicked);
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("abc"));
        let response = api.answer(request, IpAddr::from([127, 0, 0, 1])).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-request-id"], "abc");
        let page = page(&service, Timestamp::UNIX_EPOCH, Format::Plain).unwrap();
        let counted = r#"jwtlet_management_requests_total{route="none",method="GET",status="500"} 1"#;
        assert!(page.contains(counted), "{page}");
    }
}
