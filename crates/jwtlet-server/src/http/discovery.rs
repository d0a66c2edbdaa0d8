//! Published keys and metadata (RFC 7517, RFC 8414, `OpenID` Connect Discovery 1.0).

use std::{fmt::Write, sync::Arc};

use aws_lc_rs::digest;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jwtlet_core::Signer;
use serde::Serialize;

use super::{Service, entity_tag, error::Problem};
use crate::clock;

const JWKS_PATH: &str = "/.well-known/jwks.json";
const OAUTH_PATH: &str = "/.well-known/oauth-authorization-server";
const OPENID_PATH: &str = "/.well-known/openid-configuration";
const CACHEABLE: &str = "public, max-age=300";

/// Keys and both metadata documents. RFC 8414 §3.1 puts an issuer's path after the well-known one, so the document is
/// there as well.
pub(super) fn router(issuer: &str) -> Router<Arc<Service>> {
    let router = Router::new()
        .route(JWKS_PATH, get(jwks))
        .route(OAUTH_PATH, get(metadata))
        .route(OPENID_PATH, get(metadata));
    match issuer_path(issuer) {
        Some(path) => router.route(&format!("{OAUTH_PATH}{path}"), get(metadata)),
        None => router,
    }
}

fn issuer_path(issuer: &str) -> Option<String> {
    let url = reqwest::Url::parse(issuer).ok()?;
    let path = url.path().trim_end_matches('/');
    // Text that the router would take for parameters.
    let is_plain = |segment: &str| !segment.contains(['{', '}']) && !segment.starts_with([':', '*']);
    (!path.is_empty() && path.split('/').all(is_plain)).then(|| path.to_owned())
}

/// One document serves both kinds of clients: what only one of them requires, the other ignores.
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    grant_types_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<&'static str>,
}

async fn metadata(State(service): State<Arc<Service>>) -> Response {
    let issuer = &service.exchange.profile().issuer;
    let base = issuer.trim_end_matches('/');
    let keys = service.exchange.signer().published_keys(clock::now());
    let mut algorithms: Vec<_> =
        keys.iter().flat_map(|set| &set.keys).map(|key| key.algorithm().name()).collect();
    algorithms.dedup();
    if algorithms.is_empty() {
        return keys_unknown();
    }
    let metadata = Metadata {
        issuer,
        token_endpoint: format!("{base}/token"),
        jwks_uri: format!("{base}{JWKS_PATH}"),
        grant_types_supported: ["urn:ietf:params:oauth:grant-type:token-exchange"],
        token_endpoint_auth_methods_supported: ["none"],
        // Required by both specifications, and an empty list is not allowed. Kubernetes publishes the same.
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
    };
    ([(header::CACHE_CONTROL, CACHEABLE)], axum::Json(metadata)).into_response()
}

async fn jwks(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let Some(keys) = service.exchange.signer().published_keys(clock::now()) else {
        return keys_unknown();
    };
    let Ok(body) = serde_json::to_vec(keys.as_ref()) else {
        return keys_unknown();
    };
    let tag = digest_tag(&body);
    let caching = [(header::CACHE_CONTROL, CACHEABLE.to_owned()), (header::ETAG, tag.clone())];
    if entity_tag::is_known(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, "application/jwk-set+json")], body).into_response()
}

fn keys_unknown() -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the signing key has not been read yet")
        .retry_after(1)
        .into_response()
}

fn digest_tag(body: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, body);
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in digest.as_ref().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}
