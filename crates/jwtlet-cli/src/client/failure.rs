//! What an answer that is not the wanted one means.
//!
//! The same status can have many causes: a 404 is a record that does not exist, the other port, an older server, or
//! something that is no jwtlet at all. Where the answer alone does not tell, the server is asked for what only one of
//! them has. That costs a request, and only after a failure.

use http::header;
use jiff::{Timestamp, fmt::rfc2822};
use serde_json::Value;

use super::{
    Call, ExchangeRequest,
    endpoint::{Endpoint, Reply},
};
use crate::{clock, credentials::Token, error::Error, port::Port, text::printable};

/// The detail of a 404 that is about the path and not about a record.
const NO_SUCH_PATH: &str = "there is nothing at this path";

/// The failure behind an answer of the management API.
pub(super) async fn of_management(endpoint: &Endpoint, reply: &Reply, token: &Token, path: &str) -> Error {
    let detail = detail(reply);
    let text = detail.clone().unwrap_or_else(|| "the answer does not say why".into());
    match (reply.status, detail.as_deref()) {
        (401, _) => refused_token(Port::Management, reply, token, text),
        (403, _) => Error::RoleMissing { detail: text },
        (404, Some(detail)) if detail != NO_SUCH_PATH => Error::NotFound { detail: text },
        (409, Some(_)) => Error::Exists { detail: text },
        (412, Some(_)) => Error::Changed { detail: text },
        (..=399 | 404 | 405, _) => not_this_api(endpoint, reply, path).await,
        (429 | 500.., _) => unavailable(reply, text),
        _ => refused(reply, text),
    }
}

/// The failure behind an answer of the token endpoint.
pub(super) async fn of_exchange(
    endpoint: &Endpoint,
    reply: &Reply,
    request: &ExchangeRequest<'_>,
    token: &Token,
) -> Error {
    let Some((code, description)) = oauth_error(reply) else {
        return match reply.status {
            429 | 500.. => {
                unavailable(reply, detail(reply).unwrap_or_else(|| "the answer does not say why".into()))
            }
            _ => not_this_api(endpoint, reply, "/token").await,
        };
    };
    match (reply.status, &*code) {
        (429 | 500.., _) => unavailable(reply, description),
        // The request itself is well formed; what can be wrong with it is the token.
        (400, "invalid_request") => refused_token(Port::Exchange, reply, token, description),
        (_, "unauthorized_client" | "invalid_scope" | "invalid_target") => {
            Error::Denied { code, description, explain: request.explain(token) }
        }
        _ => refused(reply, description),
    }
}

/// The failure behind an answer to a call that needs no token.
pub(super) async fn of_public(endpoint: &Endpoint, reply: &Reply, path: &str) -> Error {
    match reply.status {
        429 | 500.. => unavailable(reply, detail(reply).unwrap_or_else(|| printable(reply.text().trim()))),
        _ => not_this_api(endpoint, reply, path).await,
    }
}

fn refused(reply: &Reply, detail: String) -> Error {
    Error::Refused { status: reply.status, detail, may_be_older: reply.may_be_older() }
}

fn refused_token(port: Port, reply: &Reply, token: &Token, detail: String) -> Error {
    let Some(claims) = token.claims() else {
        return Error::TokenRefused { port, detail, audiences: Vec::new() };
    };
    // By the clock of the server, which decides; this machine's may be wrong.
    let now = date(reply).unwrap_or_else(clock::now);
    if claims.expires_at <= now {
        return Error::TokenExpired { port, at: claims.expires_at };
    }
    let audiences = claims.audiences.iter().map(|audience| printable(audience)).collect();
    Error::TokenRefused { port, detail, audiences }
}

/// What the server's clock said when it answered.
pub(crate) fn date(reply: &Reply) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(reply.header(header::DATE)?).ok()
}

fn unavailable(reply: &Reply, detail: String) -> Error {
    let retry_after = jwtlet_upstream::retry_after(reply.headers()).map(|time| time.as_secs());
    Error::Unavailable { status: reply.status, detail, retry_after, request_id: reply.request_id.clone() }
}

async fn not_this_api(endpoint: &Endpoint, reply: &Reply, path: &str) -> Error {
    let url = endpoint.url().to_owned();
    match is_other_port(endpoint).await {
        Ok(true) => return Error::WrongPort { expected: endpoint.port, url },
        Ok(false) => {}
        Err(limited) => return limited,
    }
    let version = reply.version();
    let is_management = endpoint.port == Port::Management
        && (version.is_some() || is_management_api(endpoint).await.unwrap_or_default());
    if is_management {
        let path = path.split('?').next().unwrap_or(path).to_owned();
        return Error::TooOld { url, path, version };
    }
    Error::NotJwtlet { expected: endpoint.port, url, status: reply.status }
}

/// Whether the other port of jwtlet is behind this address. Fails where a limit keeps the answer back.
pub(crate) async fn is_other_port(endpoint: &Endpoint) -> Result<bool, Error> {
    match endpoint.port {
        Port::Management => is_exchange_api(endpoint).await,
        Port::Exchange => is_management_api(endpoint).await,
    }
}

/// Only the exchange API has discovery documents. It answers 503 before it knows the keys.
async fn is_exchange_api(endpoint: &Endpoint) -> Result<bool, Error> {
    let Some(reply) = probe(endpoint, "/.well-known/oauth-authorization-server").await? else {
        return Ok(false);
    };
    Ok(match reply.status {
        200 => reply.json::<Value>().is_ok_and(|metadata| metadata["token_endpoint"].is_string()),
        status => status == 503 && detail(&reply).is_some(),
    })
}

/// Only the management API asks for a bearer token with this challenge.
async fn is_management_api(endpoint: &Endpoint) -> Result<bool, Error> {
    let Some(reply) = probe(endpoint, "/api/v1/mappings?limit=1").await? else { return Ok(false) };
    let challenge = reply.header(header::WWW_AUTHENTICATE);
    Ok(reply.status == 401 && challenge.is_some_and(|text| text.starts_with("Bearer realm=\"jwtlet\"")))
}

/// What is there. Both ports say in the same words that somebody asks too often, so this answer tells neither.
async fn probe(endpoint: &Endpoint, path: &str) -> Result<Option<Reply>, Error> {
    match endpoint.send(Call::get(path)).await {
        Ok(reply) if reply.status == 429 => {
            let detail = detail(&reply).unwrap_or_else(|| "too many requests".into());
            Err(unavailable(&reply, detail))
        }
        reply => Ok(reply.ok()),
    }
}

/// The `detail` of a problem (RFC 9457), if the answer is one.
fn detail(reply: &Reply) -> Option<String> {
    let problem = reply.header(header::CONTENT_TYPE)?.starts_with("application/problem+json");
    let body: Value = problem.then(|| reply.json().ok()).flatten()?;
    Some(printable(body["detail"].as_str()?))
}

/// `error` and `error_description` (RFC 6749 §5.2), if the answer has them.
fn oauth_error(reply: &Reply) -> Option<(String, String)> {
    let body: Value = reply.json().ok()?;
    let text = |member: &str| body[member].as_str().map(printable);
    Some((text("error")?, text("error_description").unwrap_or_default()))
}
