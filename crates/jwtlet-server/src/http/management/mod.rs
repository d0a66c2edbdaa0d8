//! The management API: resource mappings and scope mappings, for callers with a role.
//!
//! Every handler authorises first and parses second, so that nobody without a role learns what is well-formed here.

mod access;
mod input;
mod mappings;
mod path;
mod records;
mod scopes;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};

use super::{Service, error::Problem};

/// The routes below `/api/v1`.
pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/mappings", get(mappings::list).post(mappings::create))
        .route("/mappings/{client}", axum::routing::delete(mappings::delete_client))
        .route(
            "/mappings/{client}/{context}",
            get(mappings::read).put(mappings::replace).delete(mappings::delete),
        )
        .route("/scopes", get(scopes::list).post(scopes::create))
        .route("/scopes/{scope}", get(scopes::read).put(scopes::replace).delete(scopes::delete))
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
