//! The management API: resource mappings and scope mappings, for callers with a role.
//!
//! Every handler takes an [`access::Authorized`] call, so that the caller's role is checked before anything is parsed, and
//! nobody without one learns what is well-formed here.

mod access;
mod date_time;
mod input;
mod mappings;
mod path;
mod records;
mod scopes;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get},
};
use jwtlet_core::store::CreateError;
use tracing::info;

use super::{Service, error::Problem};

/// The routes below `/api/v1`.
pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/mappings", get(mappings::list).post(mappings::create))
        .route("/mappings/{client}", delete(mappings::delete_client))
        .route(
            "/mappings/{client}/{context}",
            get(mappings::read).put(mappings::replace).delete(mappings::delete),
        )
        .route("/scopes", get(scopes::list).post(scopes::create))
        .route("/scopes/{scope}", get(scopes::read).put(scopes::replace).delete(scopes::delete))
        .layer(middleware::from_fn(log_call))
}

/// One line for each call. Method and path are in the request's span.
async fn log_call(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    info!(status = response.status().as_u16(), "management call");
    response
}

/// The answer to a create that met a key which is taken.
fn created<K>(outcome: Result<(), CreateError<K>>, label: impl Fn(&K) -> String) -> Result<(), Problem> {
    match outcome {
        Ok(()) => Ok(()),
        Err(CreateError::Exists(key)) => {
            let detail = format!("{} exists already or is given twice; nothing was created", label(&key));
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Err(CreateError::Upstream(error)) => Err(error.into()),
    }
}

/// Records have no entity tags in this version, so no condition can hold (RFC 9110 §13.1.1). To ignore the header would
/// overwrite what the caller wanted to protect.
fn refuse_condition(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::IF_MATCH) {
        let detail = "If-Match is not supported by this version; records have no entity tags";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    }
    Ok(())
}
