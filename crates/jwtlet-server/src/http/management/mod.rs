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
mod parameters;
mod path;
mod policy;
mod records;
mod revision;
mod scopes;
mod write;

use axum::{
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
};
use jwtlet_core::{
    audit::Action,
    role::Role::{Read, WriteMappings, WriteScopes},
};
use tokio::task::JoinError;
use tracing::info;

use self::write::write;
use super::{
    error::Problem,
    openapi::{Routes, delete, get, post, put},
};

/// The routes below `/api/v1`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .add(
            "/mappings",
            [
                get(mappings::list, mappings::describe_list()),
                post(
                    write(WriteMappings, Action::CreateMapping, mappings::create),
                    mappings::describe_create(),
                ),
            ],
        )
        .add(
            "/mappings/{client}",
            [delete(
                write(WriteMappings, Action::DeleteMapping, mappings::delete_client),
                mappings::describe_delete_client(),
            )],
        )
        .add(
            "/mappings/{client}/{context}",
            [
                get(mappings::read, mappings::describe_read()),
                put(
                    write(WriteMappings, Action::UpdateMapping, mappings::replace),
                    mappings::describe_replace(),
                ),
                delete(
                    write(WriteMappings, Action::DeleteMapping, mappings::delete),
                    mappings::describe_delete(),
                ),
            ],
        )
        .add(
            "/scopes",
            [
                get(scopes::list, scopes::describe_list()),
                post(write(WriteScopes, Action::CreateScope, scopes::create), scopes::describe_create()),
            ],
        )
        .add(
            "/scopes/{scope}",
            [
                get(scopes::read, scopes::describe_read()),
                put(write(WriteScopes, Action::UpdateScope, scopes::replace), scopes::describe_replace()),
                delete(write(WriteScopes, Action::DeleteScope, scopes::delete), scopes::describe_delete()),
            ],
        )
        .add("/audit", [get(audit::list, audit::describe_list())])
        .add("/audit/verify", [get(audit::verify, audit::describe_verify())])
        .add(
            "/policy/apply",
            [post(write(Read, Action::ApplyPolicy, policy::apply), policy::describe_apply())],
        )
        .add("/policy/export", [get(policy::export, policy::describe_export())])
        .add("/explain", [post(explain::answer, explain::describe())])
        .add("/lint", [get(lint::answer, lint::describe())])
        .around(|routes| routes.layer(middleware::from_fn(log_call)))
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
