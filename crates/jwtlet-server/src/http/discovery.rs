//! Published keys and metadata (RFC 7517, RFC 8414, `OpenID` Connect Discovery 1.0).

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jwtlet_core::{Signer, jwk::JwkSet};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Schema, Type},
};

use super::{
    Service, entity_tag,
    error::Problem,
    openapi::{Answer, Header, Operation, Routes, get, named, text_header},
};
use crate::clock;

const JWKS_PATH: &str = "/.well-known/jwks.json";
const OAUTH_PATH: &str = "/.well-known/oauth-authorization-server";
const OPENID_PATH: &str = "/.well-known/openid-configuration";
const CACHEABLE: &str = "public, max-age=300";

const HEADING: &str = "Keys and discovery";
const CACHED: Header = text_header("Cache-Control", "How long it may be kept.").like("^public, max-age=300$");
const ENTITY_TAG: Header = text_header("ETag", "Names this state of the keys.").like("^\"[0-9a-f]{32}\"$");

/// Keys and both metadata documents. RFC 8414 §3.1 puts an issuer's path after the well-known one, so the document is
/// there as well.
pub(super) fn routes(issuer: &str) -> Routes {
    let routes = Routes::new()
        .add(JWKS_PATH, [get(jwks, describe_jwks())])
        .add(OAUTH_PATH, [get(metadata, describe_metadata("getServerMetadata"))])
        .add(OPENID_PATH, [get(metadata, describe_metadata("getOpenidConfiguration"))]);
    match issuer_path(issuer) {
        Some(path) => {
            let operation = describe_metadata("getServerMetadataOfIssuer");
            routes.add(&format!("{OAUTH_PATH}{path}"), [get(metadata, operation)])
        }
        None => routes,
    }
}

fn describe_metadata(id: &str) -> Operation {
    Operation::new(id, HEADING, "The metadata of the server (RFC 8414, OpenID Connect Discovery)")
        .answers(StatusCode::OK, Answer::json("The metadata.", named::<Metadata<'_>>).header(CACHED))
        .refused([StatusCode::SERVICE_UNAVAILABLE])
}

fn describe_jwks() -> Operation {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    Operation::new("getKeys", HEADING, "The keys that verify issued tokens (RFC 7517)")
        .header("If-None-Match", "304 for one of these entity tags.", Schema::from(text))
        .answers(
            StatusCode::OK,
            Answer::of("The keys.", "application/jwk-set+json", named::<JwkSet>)
                .header(CACHED)
                .header(ENTITY_TAG),
        )
        .answers(
            StatusCode::NOT_MODIFIED,
            Answer::empty("The caller has them.").header(CACHED).header(ENTITY_TAG),
        )
        .refused([StatusCode::SERVICE_UNAVAILABLE])
}

fn issuer_path(issuer: &str) -> Option<String> {
    let url = reqwest::Url::parse(issuer).ok()?;
    let path = url.path().trim_end_matches('/');
    // Text that the router would take for parameters.
    let is_plain = |segment: &str| !segment.contains(['{', '}']) && !segment.starts_with([':', '*']);
    (!path.is_empty() && path.split('/').all(is_plain)).then(|| path.to_owned())
}

/// One document serves both kinds of clients: what only one of them requires, the other ignores.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerMetadata)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    jwks_uri: String,
    #[schema(value_type = Vec<String>)]
    grant_types_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    token_endpoint_auth_methods_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
    response_types_supported: [&'static str; 1],
    #[schema(value_type = Vec<String>)]
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
    let tag = entity_tag::of(&body);
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
