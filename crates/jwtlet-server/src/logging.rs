//! Log lines on standard error, and spans to an OpenTelemetry collector.
//!
//! `RUST_LOG` sets the level of lines (`info` without it, `error` in the development mode). No line and no span holds a token
//! or a claim beyond identity and context: the types that carry them do not show them.
//!
//! Spans are exported when a variable of OpenTelemetry names an endpoint, and otherwise not even made.

use std::{env, fs, io::IsTerminal, thread, time::Duration};

use jwtlet_upstream::trace;
use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    resource::EnvResourceDetector,
    trace::{SdkTracer, SdkTracerProvider},
};
use tracing::{Metadata, error};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// How long the last spans may take to leave at the end of the process.
const FLUSH: Duration = Duration::from_secs(5);

/// How long one request to the collector may take, where no variable says so.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the service in traces, where no variable says so.
const SERVICE: &str = "jwtlet";

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What has to be finished before the process ends.
#[derive(Debug)]
#[must_use]
pub struct Logging {
    spans: Option<SdkTracerProvider>,
}

impl Logging {
    /// Sends the spans that wait, for five seconds at most. It blocks the thread.
    pub fn finish(self) {
        if let Some(Err(failure)) = self.spans.map(|spans| spans.shutdown_with_timeout(FLUSH)) {
            error!(error = %failure, "the last spans may not have been exported");
        }
    }
}

/// Starts logging for the whole process, at this level unless `RUST_LOG` says otherwise, and exports spans if the
/// environment says where to. A second call changes nothing.
pub fn init(format: LogFormat, level: LevelFilter) -> Logging {
    let exporter = exporter().transpose();
    let (spans, failure) = match exporter {
        Ok(spans) => (spans, None),
        Err(failure) => (None, Some(failure)),
    };
    let mut layers = vec![lines(format, level)];
    // Lines name the trace of a caller, exported or not.
    global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(provider) = &spans {
        layers.push(exported(provider.tracer(SERVICE)));
    }
    // The development mode and tests may have started it already.
    let is_first = tracing_subscriber::registry().with(layers).try_init().is_ok();
    if is_first && spans.is_some() {
        trace::start_exporting();
    }
    if let Some(failure) = failure {
        error!(error = failure, "no spans are exported");
    }
    Logging { spans }
}

fn lines(format: LogFormat, level: LevelFilter) -> BoxedLayer {
    let level = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    // With a level of its own, it would ask every call site of every library.
    let rest = filter_fn(|metadata| !is_for_traces(metadata)).with_max_level_hint(LevelFilter::TRACE);
    let filter = level.and(rest);
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    }
}

fn is_for_traces(metadata: &Metadata<'_>) -> bool {
    metadata.target() == trace::TARGET
}

/// Spans of jwtlet, and none of the libraries.
fn exported(tracer: SdkTracer) -> BoxedLayer {
    let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with("jwtlet");
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(ours))
        .boxed()
}

/// The variable with this name, for traces or for everything; an empty one says nothing.
fn otlp(name: &str) -> Option<String> {
    [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

/// What exports spans, if the environment names an endpoint.
fn exporter() -> Option<Result<SdkTracerProvider, String>> {
    let says = |name, value: &str| env::var(name).is_ok_and(|given| given.eq_ignore_ascii_case(value));
    if otlp("ENDPOINT").is_none() || says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none")
    {
        return None;
    }
    if let Some(protocol) = otlp("PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
        return Some(Err(format!("OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; jwtlet speaks http/protobuf")));
    }
    // A blocking client may not be made on a thread of the runtime.
    let made = thread::spawn(|| provider().map_err(|failure| failure.to_string())).join();
    Some(made.unwrap_or_else(|_| Err("the exporter could not be made".to_owned())))
}

fn provider() -> Result<SdkTracerProvider, Box<dyn std::error::Error>> {
    let timeout =
        otlp("TIMEOUT").and_then(|text| text.parse().ok()).map_or(EXPORT_TIMEOUT, Duration::from_millis);
    // Like every client of jwtlet: no redirects, and no proxy from the environment.
    let mut client = reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout);
    if let Some(path) = otlp("CERTIFICATE") {
        let pem = fs::read(&path).map_err(|cause| format!("{path} cannot be read: {cause}"))?;
        client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    } else if otlp("ENDPOINT").is_some_and(|endpoint| endpoint.starts_with("http:")) {
        // An image may have no certificates of its own.
        client = client.tls_certs_only([]);
    }
    let exporter = SpanExporter::builder().with_http().with_http_client(client.build()?).build()?;
    let resource = Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(EnvResourceDetector::new()));
    let resource = match env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()) {
        Some(name) => resource.with_service_name(name),
        None => resource,
    };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}
