//! Traces: what of them the adapters need.
//!
//! A stage of an exchange, a batch and a call are spans that only an exporter sees: they are of [`TARGET`], which the log
//! leaves out, so that its lines keep the span of their request. While nothing is exported, none of this does anything:
//! the spans are disabled, and what costs more than that asks [`is_exporting`] first. The context travels by W3C Trace
//! Context.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::{SpanContext, TraceContextExt},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans that are for traces only.
pub const TARGET: &str = "jwtlet::trace";

static IS_EXPORTING: AtomicBool = AtomicBool::new(false);

/// Spans are exported from now on, by whoever set up the process.
pub fn start_exporting() {
    IS_EXPORTING.store(true, Ordering::Relaxed);
}

/// Whether spans are exported.
#[must_use]
pub fn is_exporting() -> bool {
    IS_EXPORTING.load(Ordering::Relaxed)
}

/// The context that came with a request: that of its `traceparent`, if it has one that is good.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Incoming(headers)))
}

/// The headers that hand the current context on; none while nothing is exported.
#[must_use]
pub fn handed_on() -> HeaderMap {
    let mut headers = HeaderMap::new();
    if is_exporting() {
        let context = Span::current().context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut Outgoing(&mut headers));
        });
    }
    headers
}

/// A span that another one can be linked to.
#[derive(Debug, Clone)]
pub struct Link(Box<SpanContext>);

impl Link {
    /// To the current span; `None` while nothing is exported.
    #[must_use]
    pub fn to_current() -> Option<Self> {
        if !is_exporting() {
            return None;
        }
        let context = Span::current().context().span().span_context().clone();
        context.is_valid().then(|| Self(Box::new(context)))
    }

    /// Links this span to it.
    pub fn of(self, span: &Span) {
        span.add_link(*self.0);
    }

    /// Makes this span, which has not begun, a child of it.
    pub fn parent_of(self, span: &Span) {
        // Refused only for a span that has begun already.
        let _ = span.set_parent(Context::new().with_remote_span_context(*self.0));
    }
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
