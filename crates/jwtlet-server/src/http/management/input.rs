//! JSON bodies: one record or many, read strictly, with messages that name the member.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use jwtlet_core::{mapping::MappingError, strict_json};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{
    body::{self, BodyError},
    error::Problem,
};

/// Room for as many mappings of the usual size.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The most records of one request.
const MAX_RECORDS: usize = 10_000;

/// One record or an array of them, each converted by its own rules.
pub(super) async fn read_many<I: DeserializeOwned, T>(
    headers: &HeaderMap,
    body: Body,
    check: impl Fn(I) -> Result<T, MappingError>,
) -> Result<Vec<T>, Problem> {
    let bytes = read_body(headers, body).await?;
    let mut records = Vec::new();
    let outcome = strict_json::each_item(&bytes, |position, item| {
        if position == Some(MAX_RECORDS) {
            return Err(Problem::bad_request(format!("at most {MAX_RECORDS} records can be sent at a time")));
        }
        let position = position.map_or_else(String::new, |position| format!("[{position}]"));
        records.push(convert(item, &position, &check)?);
        Ok(())
    });
    outcome.map_err(not_json)??;
    Ok(records)
}

/// Exactly one record.
pub(super) async fn read_one<I: DeserializeOwned, T>(
    headers: &HeaderMap,
    body: Body,
    check: impl Fn(I) -> Result<T, MappingError>,
) -> Result<T, Problem> {
    let bytes = read_body(headers, body).await?;
    convert(strict_json::from_slice(&bytes).map_err(not_json)?, "", &check)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn not_json(error: serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {error}"))
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

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let media_type = body::media_type(headers).map_err(|error| Problem::bad_request(error.to_string()))?;
    if media_type.is_some_and(|media_type| !media_type.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/json",
        ));
    }
    body::read(body, MAX_BODY_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body must be at most {MAX_BODY_BYTES} bytes"),
        ),
        BodyError::TooSlow => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body must arrive within 30 s"),
        BodyError::Broken => Problem::bad_request("the body ended too early"),
    })
}
