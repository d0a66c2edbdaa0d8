//! Spans and log lines of the real program, as a collector and whoever reads the log get them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, routing::post};
use jwtlet_testkit::{Fault, wait_until};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Attribute,
    trace::v1::Span,
};
use prost::Message;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, CONNECTOR, EXCHANGE_AUDIENCE, MANAGEMENT_AUDIENCE, PATIENCE},
    program::{Neighbours, Program, address, ready},
    promql::client,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Takes spans like an OpenTelemetry collector.
struct Collector {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    async fn start() -> Self {
        let requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
        let kept = Arc::clone(&requests);
        let take = move |body: Bytes| async move {
            kept.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
            ([("content-type", "application/x-protobuf")], "")
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await },
        );
        Self { address, requests }
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().unwrap();
        let scopes = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|r| &r.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans of one trace by name.
    fn trace(&self, trace: &str) -> BTreeMap<String, Span> {
        let of_trace = |span: &Span| hex(&span.trace_id) == trace;
        self.spans().into_iter().filter(of_trace).map(|span| (span.name.clone(), span)).collect()
    }

    fn service(&self) -> String {
        let requests = self.requests.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.clone().unwrap();
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
        match name.value.clone().unwrap().value.unwrap() {
            Attribute::StringValue(name) => name,
            other => panic!("{other:?}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The program in front of its neighbours, with policy.
struct Server {
    neighbours: Neighbours,
    program: Program,
    exchange: String,
    management: String,
    http: Client,
}

impl Server {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let neighbours = Neighbours::start().await;
        let program = Program::start(command(&neighbours).envs(variables.iter().copied()));
        let exchange = address(&program, "exchange").await;
        let management = address(&program, "management").await;
        let http = client();
        ready(&http, &exchange).await;
        let server = Self { neighbours, program, exchange, management, http };
        server.map().await;
        server
    }

    async fn map(&self) {
        let mapping = json!({"clientIdentifier": CONNECTOR, "participantContext": "acme", "scopes": ["read"], "audiences": []});
        let token = self.token("ops", "admin", MANAGEMENT_AUDIENCE);
        let request = self.http.request(Method::POST, format!("{}/api/v1/mappings", self.management));
        assert_eq!(Answer::of(request.bearer_auth(token).json(&mapping)).await.status, 201);
    }

    fn token(&self, namespace: &str, name: &str, audience: &str) -> String {
        self.neighbours.kubernetes.token(namespace, name).audience(audience).mint()
    }

    /// An exchange with these headers; gives the token that was presented along with the answer.
    async fn exchange(&self, context: &str, headers: &[(&str, &str)]) -> (String, Answer) {
        let token = self.token("demo", "connector", EXCHANGE_AUDIENCE);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", &token),
            ("resource", context),
            ("scope", "read"),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}/token", self.exchange)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        (token, Answer::of(request).await)
    }

    /// The log, as far as it is written.
    fn lines(&self) -> Vec<Value> {
        let text = self.program.err();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The line of the exchange with this request id.
    async fn line(&self, id: &str) -> Value {
        let find = || {
            let is_it = |line: &Value| line["message"] == "exchange" && line["span"]["id"] == id;
            self.lines().into_iter().find(is_it)
        };
        wait_until(|| find().is_some(), PATIENCE).await.unwrap();
        find().unwrap()
    }
}

fn command(neighbours: &Neighbours) -> Command {
    let mut command = Program::command();
    command.arg(neighbours.config(0, 0)).env("JWTLET__LOG_FORMAT", "json");
    command
}

#[tokio::test]
async fn a_request_is_a_part_of_its_callers_trace_and_hands_it_on() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let exporting =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("RUST_LOG", "warn,jwtlet_server::app=info")];
    let mut server = Server::start(&exporting).await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let (_, answer) = server.exchange("acme", &[("traceparent", &parent)]).await;
    assert_eq!(answer.status, 200, "{answer}");

    let handed_on =
        server.neighbours.kubernetes.trace_parents().into_iter().filter(|it| it.contains(TRACE)).count();
    assert_eq!(handed_on, 1);
    assert!(server.neighbours.vault.trace_parents().iter().any(|it| it.contains(TRACE)));
    // What is not exported yet is when the program ends.
    server.program.signal("TERM");
    assert_eq!(server.program.ended().await, 0);
    let trace = collector.trace(TRACE);
    let names: Vec<&str> = trace.keys().map(String::as_str).collect();
    assert_eq!(names, ["call", "policy", "request", "review", "sign", "sign batch"]);
    assert_eq!(hex(&trace["request"].parent_span_id), CALLER);
    for stage in ["review", "policy", "sign"] {
        assert_eq!(trace[stage].parent_span_id, trace["request"].span_id, "{stage}");
    }
    assert_eq!(trace["sign batch"].parent_span_id, trace["sign"].span_id);
    let is_call = |span: &Span| span.name == "call" && hex(&span.trace_id) == TRACE;
    let calls: BTreeSet<_> =
        collector.spans().into_iter().filter(is_call).map(|call| call.parent_span_id).collect();
    let parents = [&trace["review"], &trace["sign batch"]].map(|span| span.span_id.clone());
    assert_eq!(calls, parents.into_iter().collect());
    assert_eq!(collector.service(), "jwtlet");
}

#[tokio::test]
async fn a_call_for_several_exchanges_has_a_trace_of_its_own_that_is_linked_to_theirs() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("JWTLET__VAULT__MAX_IN_FLIGHT", "1")];
    let mut server = Server::start(&variables).await;
    // Whoever comes while the first call is under way shares the next one.
    server.neighbours.vault.faults().set_latency(Duration::from_millis(500));
    let exchange = || server.exchange("acme", &[]);
    let answers = tokio::join!(exchange(), exchange(), exchange(), exchange());
    for (_, answer) in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.status, 200, "{answer}");
    }
    server.program.signal("TERM");
    assert_eq!(server.program.ended().await, 0);
    let spans = collector.spans();
    let shared = spans.iter().find(|span| span.name == "sign batch" && span.links.len() > 1).unwrap();
    assert_eq!(shared.parent_span_id.len(), 0);
    for link in &shared.links {
        let of = spans.iter().find(|span| span.span_id == link.span_id).unwrap();
        assert_eq!(of.name, "sign");
        assert_ne!(of.trace_id, shared.trace_id);
    }
    let of_batch = hex(&shared.trace_id);
    assert!(server.neighbours.vault.trace_parents().iter().any(|it| it.contains(&of_batch)));
}

#[tokio::test]
async fn nothing_is_exported_or_handed_on_unless_the_environment_says_where_to() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    for variables in [
        &[][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_SDK_DISABLED", "true")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    ] {
        let mut server = Server::start(variables).await;
        let parent = format!("00-{TRACE}-{CALLER}-01");
        assert_eq!(server.exchange("acme", &[("traceparent", &parent)]).await.1.status, 200);
        server.program.signal("TERM");
        assert_eq!(server.program.ended().await, 0);
        assert!(server.neighbours.kubernetes.trace_parents().is_empty(), "{variables:?}");
        // The caller's name of the trace is on the line nevertheless.
        let lines = server.lines();
        let line = lines.iter().find(|line| line["message"] == "exchange").unwrap();
        assert_eq!(line["span"]["trace_id"], TRACE, "{variables:?}");
        let refused = server.program.err().contains("jwtlet speaks http/protobuf");
        assert_eq!(refused, variables.contains(&("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")));
    }
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_is_in_the_way_of_nothing() {
    let mut server = Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    assert_eq!(server.exchange("acme", &[]).await.1.status, 200);
    server.program.signal("TERM");
    assert_eq!(server.program.ended().await, 0);
}

#[tokio::test]
async fn each_exchange_is_one_line_that_says_what_happened_and_holds_no_token() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let server = Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("RUST_LOG", "debug")]).await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let mut secrets = Vec::new();

    let (token, answer) =
        server.exchange("acme", &[("x-request-id", "good"), ("traceparent", &parent)]).await;
    secrets.extend([token, answer.access_token()]);
    let (token, refused) = server.exchange("globex", &[("x-request-id", "unmapped")]).await;
    assert_eq!(refused.status, 403);
    secrets.push(token);
    server.neighbours.vault.faults().always(Fault::status(503));
    let (token, failed) = server.exchange("acme", &[("x-request-id", "away")]).await;
    assert_eq!(failed.status, 503);
    secrets.push(token);

    let line = server.line("good").await;
    assert_eq!(line["level"], "INFO");
    for (field, expected) in [
        ("outcome", "issued"),
        ("reason", "none"),
        ("client", CONNECTOR),
        ("context", "acme"),
        ("scopes", "read"),
        ("detail", ""),
    ] {
        assert_eq!(line[field], expected, "{field}: {line}");
    }
    assert!(line["duration_us"].as_u64().unwrap() > 0, "{line}");
    assert_eq!(line["span"]["trace_id"], TRACE);
    assert_eq!((&line["span"]["method"], &line["span"]["path"]), (&json!("POST"), &json!("/token")));
    let line = server.line("unmapped").await;
    assert_eq!((&line["outcome"], &line["reason"]), (&json!("refused"), &json!("no_mapping")));
    let line = server.line("away").await;
    assert_eq!((&line["outcome"], &line["reason"]), (&json!("failed"), &json!("vault_unavailable")));

    let lines = server.lines();
    for id in ["good", "unmapped", "away"] {
        let is_one = |line: &&Value| line["message"] == "exchange" && line["span"]["id"] == id;
        assert_eq!(lines.iter().filter(is_one).count(), 1, "{id}");
    }
    let text = server.program.err();
    for secret in &secrets {
        for part in secret.split('.') {
            assert!(!text.contains(part), "this is logged: {part}");
        }
    }
    wait_until(|| !collector.trace(TRACE).is_empty(), PATIENCE).await.unwrap();
    let spans = format!("{:?}", collector.spans());
    for secret in &secrets {
        assert!(!spans.contains(secret.rsplit('.').next().unwrap()), "this is exported: {secret}");
    }
}
