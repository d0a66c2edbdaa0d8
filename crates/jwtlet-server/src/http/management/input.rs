//! JSON bodies: one record or many, read strictly, with messages that name the member.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
};
use jwtlet_core::{mapping::MappingError, strict_json};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{
    body::{self, BodyError},
    error::Problem,
};

/// Room for some ten thousand mappings in one request.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// One record or an array of them, each converted by its own rules.
pub(super) async fn read_many<I: DeserializeOwned, T>(
    headers: &HeaderMap,
    body: Body,
    check: impl Fn(I) -> Result<T, MappingError>,
) -> Result<Vec<T>, Problem> {
    match read_json(headers, body).await? {
        Value::Array(items) => {
            let record = |(i, item)| convert(item, &format!("[{i}]"), &check);
            items.into_iter().enumerate().map(record).collect()
        }
        single => Ok(vec![convert(single, "", &check)?]),
    }
}

/// Exactly one record.
pub(super) async fn read_one<I: DeserializeOwned, T>(
    headers: &HeaderMap,
    body: Body,
    check: impl Fn(I) -> Result<T, MappingError>,
) -> Result<T, Problem> {
    convert(read_json(headers, body).await?, "", &check)
}

fn convert<I: DeserializeOwned, T>(
    value: Value,
    position: &str,
    check: &impl Fn(I) -> Result<T, MappingError>,
) -> Result<T, Problem> {
    let at = |path: &str, rule: &dyn std::fmt::Display| {
        let separator = if position.is_empty() || path.is_empty() { "" } else { "." };
        let colon = if position.is_empty() && path.is_empty() { "" } else { ": " };
        Problem::bad_request(format!("{position}{separator}{path}{colon}{rule}"))
    };
    if !value.is_object() {
        return Err(at("", &"a mapping must be a JSON object"));
    }
    let input = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        at(if path == "." { "" } else { &path }, error.inner())
    })?;
    check(input).map_err(|rule| at("", &rule))
}

async fn read_json(headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    if body::media_type(headers).is_some_and(|media_type| media_type != "application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/json",
        ));
    }
    let bytes = body::read(body, MAX_BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body must be at most {MAX_BODY_BYTES} bytes"),
        ),
        BodyError::TooSlow => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body must arrive within 30 s"),
        BodyError::Broken => Problem::bad_request("the body ended too early"),
    })?;
    strict_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))
}
