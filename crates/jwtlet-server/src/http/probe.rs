//! The probes of an orchestrator. They cost the upstream systems nothing.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jwtlet_core::{PolicyStore, Signer, SubjectVerifier, health::Health, upstream::System};

use super::{
    Service,
    openapi::{Answer, Operation},
};

const HEADING: &str = "Probes";

/// The paths of probes, which no limit may refuse: an orchestrator would restart what is only busy.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/livez" | "/readyz")
}

/// The process runs.
pub(crate) async fn live() -> Response {
    text(StatusCode::OK, "ok\n".to_owned())
}

pub(super) fn describe_live(id: &str) -> Operation {
    Operation::new(id, HEADING, "Whether the process runs").answers(StatusCode::OK, Answer::text("It does."))
}

pub(super) fn describe_ready() -> Operation {
    let unavailable = Answer::text("An exchange would fail: one line for each system that is in the way.");
    Operation::new("isReady", HEADING, "Whether an exchange would succeed")
        .answers(StatusCode::OK, Answer::text("It would."))
        .answers(StatusCode::SERVICE_UNAVAILABLE, unavailable)
}

/// Whether an exchange would succeed, and which system is in the way. Why is for operators, not for everybody who
/// reaches the exchange API.
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Response {
    report(&service, false)
}

/// The same with reasons.
pub(crate) async fn ready_with_reasons(State(service): State<Arc<Service>>) -> Response {
    report(&service, true)
}

fn report(service: &Service, with_reasons: bool) -> Response {
    let exchange = &service.exchange;
    let states = [
        (System::Kubernetes, exchange.verifier().health()),
        (System::Vault, exchange.signer().health()),
        (System::Store, exchange.store().health()),
    ];
    let mut lines = String::new();
    if service.lifecycle.leaving.is_entered() {
        lines.push_str("stopping\n");
    }
    for (system, health) in states {
        if let Health::NotReady(reason) = health {
            // Writing to a String cannot fail.
            let _ = if with_reasons {
                writeln!(lines, "{system}: not ready: {reason}")
            } else {
                writeln!(lines, "{system}: not ready")
            };
        }
    }
    if lines.is_empty() {
        text(StatusCode::OK, "ready\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, lines)
    }
}

fn text(status: StatusCode, body: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}
