//! `GET /metrics`, and the count of requests to the management port.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::task::spawn_blocking;
use tracing::error;

use super::{
    Service,
    error::Problem,
    openapi::{Answer, Operation},
};
use crate::{
    clock,
    metrics::{self, Format, NO_ROUTE},
};

pub(super) fn describe() -> Operation {
    let page =
        Answer::text("The metrics in the text format of Prometheus.").or_text("application/openmetrics-text");
    Operation::new("getMetrics", "Metrics", "Everything that is counted").answers(StatusCode::OK, page)
}

/// Everything that is counted, for whoever reaches this port.
pub(super) async fn show(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted_by(accept);
    // The operating system is asked about each descriptor of the process.
    let page = spawn_blocking(move || metrics::page(&service, clock::now(), format)).await;
    let Ok(Ok(page)) = page else {
        error!("the metrics could not be written");
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal error; tell the operator")
            .into_response();
    };
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::CACHE_CONTROL, "no-store")];
    (headers, page).into_response()
}

/// Counts a request by the template of its route.
pub(super) async fn count(
    State(service): State<Arc<Service>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    service.metrics.management.answered(route, &method, response.status());
    response
}
