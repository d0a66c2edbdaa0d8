//! The two HTTP APIs.
//!
//! Handlers translate: text into checked values, outcomes into status and body. Decisions are made in `jwtlet-core`.

mod api;
mod body;
mod discovery;
mod entity_tag;
mod error;
mod form;
mod management;
mod metrics;
mod oauth;
mod probe;
mod request_id;
mod wording;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    http::{HeaderValue, StatusCode},
    middleware,
    routing::{any, get},
};
use jwtlet_core::{Audience, ClientIdentifier, Exchange, role::Role};
use jwtlet_kubernetes::KubernetesVerifier;
use jwtlet_store::Store;
use jwtlet_vault::VaultSigner;
use tokio::sync::Mutex;

use self::api::Api;
use self::error::Problem;
use crate::{
    metrics::{ApiName, Metrics},
    serve::Lifecycle,
};

/// What the handlers of both APIs share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) exchange: Exchange<KubernetesVerifier, Store, VaultSigner>,
    pub(crate) management_audience: Audience,
    pub(crate) roles: BTreeMap<ClientIdentifier, Vec<Role>>,
    /// Held by a review of the whole policy: each takes memory, so they take turns.
    pub(crate) review: Mutex<()>,
    /// Held by an apply and by an export, for the same reason.
    pub(crate) apply: Mutex<()>,
    /// How far the server is on its way to its end.
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: Metrics,
}

/// What the management API says in `Server`, so that the administration command knows whom it talks to. The exchange API
/// does not tell the whole cluster its version.
const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("jwtlet-server/", env!("CARGO_PKG_VERSION")));

/// The exchange API: `/token`, keys, discovery, probes.
pub(crate) fn exchange_api(service: Arc<Service>) -> Api {
    let router = Router::new()
        .route(oauth::PATH, any(oauth::method_not_allowed))
        .merge(discovery::router(&service.exchange.profile().issuer))
        .route("/readyz", get(probe::ready));
    let router = finish(router, Arc::clone(&service));
    Api::new(ApiName::Exchange, router, service, error::exchange_panicked)
}

/// The management API below `/api/v1`, metrics, and probes.
pub(crate) fn management_api(service: Arc<Service>) -> Api {
    let router = Router::new()
        .nest("/api/v1", management::router())
        .route("/readyz", get(probe::ready_with_reasons))
        .route("/metrics", get(metrics::show));
    let counted = middleware::from_fn_with_state(Arc::clone(&service), metrics::count);
    let router = finish(router, Arc::clone(&service)).layer(counted);
    Api::new(ApiName::Management, router, service, error::management_panicked).named(PRODUCT)
}

fn finish(router: Router<Arc<Service>>, service: Arc<Service>) -> Router {
    router
        .route("/health", get(probe::live))
        .route("/livez", get(probe::live))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the Allow header names the methods of this path")
        })
        .with_state(service)
}
