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
mod oauth;
mod probe;
mod request_id;
mod wording;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use jwtlet_core::{Audience, ClientIdentifier, Exchange, role::Role};
use jwtlet_kubernetes::KubernetesVerifier;
use jwtlet_store::Store;
use jwtlet_vault::VaultSigner;
use tokio::sync::Mutex;

pub(crate) use self::api::Api;
use self::{api::OnPanic, error::Problem};

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
}

/// The exchange API: `/token`, keys, discovery, probes.
pub(crate) fn exchange_api(service: Arc<Service>) -> Api {
    let token = post(oauth::token).fallback(oauth::method_not_allowed);
    let router = Router::new()
        .route("/token", token)
        .merge(discovery::router(&service.exchange.profile().issuer))
        .route("/readyz", get(probe::ready));
    finish(router, service, error::exchange_panicked)
}

/// The management API below `/api/v1`, and probes.
pub(crate) fn management_api(service: Arc<Service>) -> Api {
    let router =
        Router::new().nest("/api/v1", management::router()).route("/readyz", get(probe::ready_with_reasons));
    finish(router, service, error::management_panicked)
}

fn finish(router: Router<Arc<Service>>, service: Arc<Service>, panicked: OnPanic) -> Api {
    let router = router
        .route("/health", get(probe::live))
        .route("/livez", get(probe::live))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the Allow header names the methods of this path")
        })
        .with_state(service);
    Api::new(router, panicked)
}
