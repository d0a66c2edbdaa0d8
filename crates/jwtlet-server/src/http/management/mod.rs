//! The management API: resource mappings, scope mappings and their audit trail, for callers with a role.
//!
//! Every handler takes a call that was let in: an [`access::Reader`], or what [`write::write`] hands on. So the caller's
//! role is checked before anything is parsed, and nobody without one learns what is well-formed here.

mod access;
mod audit;
mod date_time;
mod documents;
mod explain;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod input;
mod lint;
mod list;
mod mappings;
mod path;
mod policy;
mod records;
mod revision;
mod scopes;
mod write;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, post},
};
use jwtlet_core::{
    audit::Action,
    role::Role::{Read, WriteMappings, WriteScopes},
};
use tokio::task::JoinError;
use tracing::info;

use self::write::write;
use super::{Service, error::Problem};

/// The routes below `/api/v1`.
pub(super) fn router() -> Router<Arc<Service>> {
    let mappings = get(mappings::list).post(write(WriteMappings, Action::CreateMapping, mappings::create));
    let client = delete(write(WriteMappings, Action::DeleteMapping, mappings::delete_client));
    let mapping = get(mappings::read)
        .put(write(WriteMappings, Action::UpdateMapping, mappings::replace))
        .delete(write(WriteMappings, Action::DeleteMapping, mappings::delete));
    let scopes = get(scopes::list).post(write(WriteScopes, Action::CreateScope, scopes::create));
    let scope = get(scopes::read)
        .put(write(WriteScopes, Action::UpdateScope, scopes::replace))
        .delete(write(WriteScopes, Action::DeleteScope, scopes::delete));
    Router::new()
        .route("/mappings", mappings)
        .route("/mappings/{client}", client)
        .route("/mappings/{client}/{context}", mapping)
        .route("/scopes", scopes)
        .route("/scopes/{scope}", scope)
        .route("/audit", get(audit::list))
        .route("/audit/verify", get(audit::verify))
        .route("/policy/apply", post(write(Read, Action::ApplyPolicy, policy::apply)))
        .route("/policy/export", get(policy::export))
        .route("/explain", post(explain::answer))
        .route("/lint", get(lint::answer))
        .layer(middleware::from_fn(log_call))
}

/// What becomes of a call whose task did not end: its panic is this call's, and otherwise the server is stopping.
fn given_up(error: JoinError) -> Problem {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping; try again").retry_after(1)
        }
    }
}

/// One line for each call. Method and path are in the request's span.
async fn log_call(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    info!(status = response.status().as_u16(), "management call");
    response
}
