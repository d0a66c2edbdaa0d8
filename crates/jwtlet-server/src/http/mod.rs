//! The two HTTP APIs.
//!
//! Handlers translate: text into checked values, outcomes into status and body. Decisions are made in `jwtlet-core`.

mod api;
mod body;
mod discovery;
mod docs;
mod entity_tag;
mod error;
#[cfg(test)]
mod error_reference;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod management;
mod metrics;
mod oauth;
mod openapi;
mod probe;
mod request_id;
mod static_content;
mod wording;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    http::{HeaderValue, StatusCode},
    middleware,
    routing::any,
};
use jwtlet_core::{Audience, ClientIdentifier, Exchange, role::Role};
use jwtlet_store::Store;
use jwtlet_vault::VaultSigner;
use tokio::sync::Mutex;
use utoipa::openapi::HttpMethod;

use self::{
    api::Api,
    error::Problem,
    openapi::{Endpoint, Routes},
};
use crate::{
    admission::Admission,
    limits::Sources,
    metrics::{ApiName, Metrics},
    serve::{Expiry, Lifecycle},
};

/// What the handlers of both APIs share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) exchange: Exchange<Admission, Store, VaultSigner>,
    pub(crate) management_audience: Audience,
    pub(crate) roles: BTreeMap<ClientIdentifier, Vec<Role>>,
    /// Held by a review of the whole policy: each takes memory, so they take turns.
    pub(crate) review: Mutex<()>,
    /// Held by an apply and by an export, for the same reason.
    pub(crate) apply: Mutex<()>,
    /// How far the server is on its way to its end.
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: Metrics,
    /// Counts requests before anything is verified; `None` counts none.
    pub(crate) sources: Option<Arc<Sources>>,
    /// How many connections each port takes at a time.
    pub(crate) max_connections: usize,
    /// `None` without TLS.
    pub(crate) certificate_expiry: Option<Arc<Expiry>>,
}

/// What the management API says in `Server`, so that the administration command knows whom it talks to. The exchange API
/// does not tell the whole cluster its version.
const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("jwtlet-server/", env!("CARGO_PKG_VERSION")));

const EXCHANGE: openapi::Api = openapi::Api {
    title: "jwtlet exchange API",
    about: "OAuth 2.0 token exchange (RFC 8693), and the keys that verify the issued tokens. Each GET is answered to HEAD too. \
            Errors beside `POST /token` are problems of RFC 9457: also 404 for an unknown path, and 405 with `Allow`.",
    bearer: None,
    defect: || {
        oauth::described_error("`server_error`: a defect of jwtlet; its operator's log has the cause.")
    },
    headers: &[openapi::ANSWERED_REQUEST_ID],
};

const MANAGEMENT: openapi::Api = openapi::Api {
    title: "jwtlet management API",
    about: "The policy of the token exchange: resource mappings, scope mappings, and the trail of their changes. Each GET is \
            answered to HEAD too. Errors are problems of RFC 9457: also 404 for an unknown path, and 405 with `Allow`.",
    bearer: Some(
        "The token of a service account, bound to `management.client_audience`. The account has roles in \
         `[service_accounts]`; the scope of an operation is the role that it needs.",
    ),
    defect: openapi::defect,
    headers: &[openapi::ANSWERED_REQUEST_ID, openapi::SERVER],
};

/// The exchange API: `/token`, keys, discovery, probes.
pub(crate) fn exchange_api(service: Arc<Service>) -> Api {
    let router = finish(exchange_routes(&service), &EXCHANGE, Arc::clone(&service));
    let sources = service.sources.clone();
    Api::new(ApiName::Exchange, router, service, error::exchange_panicked).limited(sources)
}

fn exchange_routes(service: &Service) -> Routes {
    Routes::new()
        .add(
            oauth::PATH,
            [Endpoint::before_router(HttpMethod::Post, any(oauth::method_not_allowed), oauth::describe())],
        )
        .merge(discovery::routes(&service.exchange.profile().issuer))
        .add("/readyz", [openapi::get(probe::ready, probe::describe_ready())])
        .merge(common_routes())
}

/// The management API below `/api/v1`, its documentation, metrics, and probes.
pub(crate) fn management_api(service: Arc<Service>) -> Api {
    let (_, exchange) = exchange_routes(&service).finish();
    let routes = Routes::new()
        .nest("/api/v1", management::routes())
        .merge(docs::routes(exchange.serve(&EXCHANGE)))
        .add("/readyz", [openapi::get(probe::ready_with_reasons, probe::describe_ready())])
        .add("/metrics", [openapi::get(metrics::show, metrics::describe())])
        .merge(common_routes());
    let counted = middleware::from_fn_with_state(Arc::clone(&service), metrics::count);
    let answering = finish(routes, &MANAGEMENT, Arc::clone(&service)).layer(counted);
    let sources = service.sources.clone();
    Api::new(ApiName::Management, answering, service, error::management_panicked)
        .named(PRODUCT)
        .limited(sources)
}

fn common_routes() -> Routes {
    Routes::new()
        .add("/health", [openapi::get(probe::live, probe::describe_live("isHealthy"))])
        .add("/livez", [openapi::get(probe::live, probe::describe_live("isLive"))])
}

fn finish(routes: Routes, api: &openapi::Api, service: Arc<Service>) -> Router {
    routes
        .served(api)
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the Allow header names the methods of this path")
        })
        .with_state(service)
}
