//! The routes of the API server, and what they have in common: callers and JSON bodies.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::authenticate::{User, Verdict};
use super::cluster::State;
use super::reviews::{anonymous, is_administrator};
use super::status::Failure;
use super::{reviews, token_requests};

/// The largest request body the original accepts.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(reviews::create))
        .route("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", post(token_requests::create))
        .route("/.well-known/openid-configuration", get(openid_configuration))
        .route("/openid/v1/jwks", get(key_set))
        .route("/version", get(version))
        .route("/livez", get("ok"))
        .route("/readyz", get("ok"))
        .route("/healthz", get("ok"))
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
        .fallback(async || Failure::not_found("the server could not find the requested resource"))
        .with_state(state)
}

/// Who sent a request: 401 for a bad token, the anonymous user for none.
pub(super) fn caller(state: &State, headers: &HeaderMap) -> Result<User, Failure> {
    let authorization =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match state.authenticate(authorization, &state.api_audiences) {
        Verdict::User(user) => Ok(user),
        Verdict::Anonymous => Ok(anonymous()),
        Verdict::Refused(_) => Err(Failure::unauthorized()),
    }
}

pub(super) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    if media_type(headers).is_some_and(|media_type| !media_type.starts_with("application/json")) {
        return Err(Failure::unsupported_media_type());
    }
    serde_json::from_slice(&read(body).await?)
        .map_err(|error| Failure::bad_request(format!("the object provided is unrecognized: {error}")))
}

pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

pub(super) async fn read(body: Body) -> Result<Bytes, Failure> {
    to_bytes(body, BODY_LIMIT).await.map_err(|_| Failure::too_large(BODY_LIMIT))
}

async fn openid_configuration(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    discoverer(&state, &headers, "/.well-known/openid-configuration")?;
    let document = json!({
        "issuer": state.issuer,
        "jwks_uri": format!("{}/openid/v1/jwks", state.url),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    Ok(cacheable("application/json", &document))
}

async fn key_set(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Result<Response, Failure> {
    discoverer(&state, &headers, "/openid/v1/jwks")?;
    Ok(cacheable("application/jwk-set+json", &json!({ "keys": [state.issuer_key.jwk()] })))
}

/// Any service account may read the discovery documents; anonymous callers may not.
fn discoverer(state: &State, headers: &HeaderMap, path: &str) -> Result<(), Failure> {
    let caller = caller(state, headers)?;
    if caller.service_account.is_some() || is_administrator(&caller) {
        return Ok(());
    }
    Err(Failure::forbidden(path, &caller.username, &format!("get path {path:?}")))
}

fn cacheable(content_type: &'static str, document: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, document.to_string()).into_response()
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({
        "major": "1",
        "minor": "34",
        "gitVersion": "v1.34.0",
        "platform": "linux/amd64",
    }))
}
