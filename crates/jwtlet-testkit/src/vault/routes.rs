//! From a request to a route: path, namespace, seal, token, rights, and only then the work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::params::Params;
use super::policy::Operation;
use super::state::State;
use super::{kubernetes_login, renewal, sys, transit};
use crate::encoding::lock;

const NAMESPACE: &str = "x-vault-namespace";

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = decoded(parts.uri.path());
    let local = path.as_ref().ok().map(|path| local_path(&state, path).to_owned()).unwrap_or_default();
    *lock(&state.calls).entry(local.clone()).or_default() += 1;
    let (status, body) = match route(&state, &parts, path, &local, body).await {
        Ok(Answer::Envelope(envelope)) => (StatusCode::OK, Some(envelope.into_json())),
        Ok(Answer::Bare(status, document)) => (status, Some(document)),
        Ok(Answer::Empty) => (StatusCode::NO_CONTENT, None),
        Err(refusal) => (refusal.status, Some(refusal.into_json())),
    };
    let body = body.map(|mut body| {
        for hook in lock(&state.hooks).iter_mut() {
            hook(&parts.method, &local, &mut body);
        }
        body
    });
    response(&state, status, body.as_ref())
}

fn response(state: &State, status: StatusCode, body: Option<&Value>) -> Response {
    let mut response = match body {
        Some(body) => ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
        None => Body::empty().into_response(),
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(namespace) = &state.namespace
        && let Ok(value) = HeaderValue::try_from(format!("{namespace}/"))
    {
        response.headers_mut().insert(NAMESPACE, value);
    }
    response
}

async fn route(
    state: &Arc<State>,
    parts: &Parts,
    path: Result<String, Refusal>,
    local: &str,
    body: Body,
) -> Result<Answer, Refusal> {
    let path = path?;
    if let Some(answer) = sys::probe(state, local) {
        return Ok(answer);
    }
    if state.sealed.load(Ordering::Relaxed) {
        return Err(Refusal::sealed());
    }
    let in_namespace = check_namespace(state, &parts.headers, local.len() < path.len())?;
    let operation = operation(parts)?;
    let body = to_bytes(body, state.limits.body).await.map_err(|_| Refusal::too_large())?;
    let params = Params::parse(&body, state.limits.json_strings)?;

    let login = format!("auth/{}/login", state.kubernetes_mount);
    if in_namespace && state.kubernetes.is_some() && local == login {
        return match operation {
            Operation::Update => kubernetes_login::login(state, &params).await,
            _ => Err(Refusal::unsupported_operation()),
        };
    }

    let secret = secret(&parts.headers).ok_or_else(Refusal::permission_denied)?;
    let token = state.tokens.authorize(secret, operation, local, &state.mount);
    let token = token.ok_or_else(Refusal::permission_denied)?;
    if !in_namespace {
        // Only the root token belongs to the root namespace, where nothing is mounted.
        return Err(if token.policy.is_root() {
            Refusal::no_route(local)
        } else {
            Refusal::permission_denied()
        });
    }
    match (operation, local) {
        (Operation::Read, "auth/token/lookup-self") => Ok(Answer::data(token.describe(secret), Vec::new())),
        (Operation::Update, "auth/token/renew-self") => renewal::renew(state, secret, &token, &params),
        (Operation::Update, "auth/token/revoke-self") => {
            state.tokens.revoke(secret);
            Ok(Answer::Empty)
        }
        (_, "auth/token/lookup-self" | "auth/token/renew-self" | "auth/token/revoke-self") => {
            Err(Refusal::unsupported_operation())
        }
        _ => match local.strip_prefix(&state.mount).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => transit::route(state, operation, rest, params).await,
            None => Err(Refusal::no_route(local)),
        },
    }
}

/// The decoded path below `/v1/`.
fn decoded(path: &str) -> Result<String, Refusal> {
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Refusal::bad_request("the path is not valid UTF-8"))?;
    let Some(path) = path.strip_prefix("/v1/") else {
        return Err(Refusal::nothing_here());
    };
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Refusal::bad_request("relative paths not supported"));
    }
    Ok(path.trim_end_matches('/').to_owned())
}

/// The path without the namespace that may lead it.
fn local_path<'a>(state: &State, path: &'a str) -> &'a str {
    let namespace = state.namespace.as_deref();
    namespace
        .and_then(|namespace| path.strip_prefix(namespace))
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path)
}

/// Whether the request is for the namespace that holds everything.
fn check_namespace(state: &State, headers: &HeaderMap, in_path: bool) -> Result<bool, Refusal> {
    let named = headers.get(NAMESPACE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = named.trim_matches('/');
    let named = if named == "root" { "" } else { named };
    match (&state.namespace, named) {
        (None, "") => Ok(true),
        (Some(_), "") => Ok(in_path),
        (Some(namespace), named) if namespace == named => Ok(true),
        _ => Err(Refusal::no_namespace()),
    }
}

fn operation(parts: &Parts) -> Result<Operation, Refusal> {
    let list = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "list=true"));
    match &parts.method {
        method if *method == Method::GET && list => Ok(Operation::List),
        method if *method == Method::GET => Ok(Operation::Read),
        method if *method == Method::POST || *method == Method::PUT => Ok(Operation::Update),
        method if *method == Method::DELETE => Ok(Operation::Delete),
        method if method.as_str() == "LIST" => Ok(Operation::List),
        _ => Err(Refusal::unsupported_operation()),
    }
}

/// The token of a request: `X-Vault-Token` wins over `Authorization: Bearer`.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get("x-vault-token").and_then(|value| value.to_str().ok());
    own.filter(|token| !token.is_empty())
        .or_else(|| headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer "))
}
