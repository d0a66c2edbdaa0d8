//! JSON bodies: one record or many, read strictly, with messages that name the member.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use jwtlet_core::{
    audit::AuditKey,
    mapping::{ClaimRules, MappingError},
    strict_json,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{
    body::{self, BodyError},
    error::Problem,
    wording::fit,
};

/// Room for as many mappings of the usual size.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// The most records of one request.
const MAX_RECORDS: usize = 10_000;

/// What a JSON object in a request stands for.
pub(super) trait Input: DeserializeOwned {
    /// What it becomes.
    type Output;
    /// What it is, with its article.
    const NOUN: &str;

    /// Applies the rules that concern more than one member.
    fn check(self, rules: &ClaimRules) -> Result<Self::Output, MappingError>;
}

/// The records of a request that may send one or many.
pub(super) struct Records<T> {
    pub(super) items: Vec<T>,
    /// Whether it is one record, not an array.
    pub(super) is_single: bool,
}

/// One record or an array of them.
pub(super) async fn read_many<I: Input>(
    headers: &HeaderMap,
    body: Body,
    rules: &ClaimRules,
) -> Result<Records<I::Output>, Problem> {
    let bytes = read_body(headers, body, MAX_BODY_BYTES).await?;
    let mut records = Records { items: Vec::new(), is_single: false };
    let outcome = strict_json::each_item(&bytes, |position, item| {
        if position == Some(MAX_RECORDS) {
            return Err(Problem::bad_request(format!("at most {MAX_RECORDS} records can be sent at a time")));
        }
        records.is_single = position.is_none();
        let position = position.map_or_else(String::new, |position| format!("[{position}]"));
        records.items.push(convert::<I>(item, &position, rules)?);
        Ok(())
    });
    outcome.map_err(not_json)??;
    Ok(records)
}

/// Exactly one object.
pub(super) async fn read_one<I: Input>(
    headers: &HeaderMap,
    body: Body,
    rules: &ClaimRules,
) -> Result<I::Output, Problem> {
    let bytes = read_body(headers, body, MAX_BODY_BYTES).await?;
    convert::<I>(strict_json::from_slice(&bytes).map_err(not_json)?, "", rules)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
pub(super) fn not_json(error: serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {error}"))
}

fn convert<I: Input>(value: Value, position: &str, rules: &ClaimRules) -> Result<I::Output, Problem> {
    check::<I>(value, rules).map_err(|mistake| {
        let Mistake { path, rule, key } = mistake;
        let separator = if position.is_empty() || path.is_empty() { "" } else { "." };
        let colon = if position.is_empty() && path.is_empty() { "" } else { ": " };
        let problem = Problem::bad_request(format!("{position}{separator}{path}{colon}{rule}"));
        if key == AuditKey::default() { problem } else { problem.about(key) }
    })
}

/// What is wrong with an object.
pub(super) struct Mistake {
    /// The member, as a path; empty where the rule names it or it is the whole object.
    pub(super) path: String,
    /// The rule that is broken.
    pub(super) rule: String,
    /// The record that the object names, as far as it does.
    pub(super) key: AuditKey,
}

/// What an object stands for.
pub(super) fn check<I: Input>(value: Value, rules: &ClaimRules) -> Result<I::Output, Mistake> {
    if !value.is_object() {
        let rule = format!("{} must be a JSON object", I::NOUN);
        return Err(Mistake { path: String::new(), rule, key: AuditKey::default() });
    }
    let key = audit_key(&value);
    let input: I = match serde_path_to_error::deserialize(value) {
        Ok(input) => input,
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            return Err(Mistake { path, rule: error.inner().to_string(), key });
        }
    };
    input.check(rules).map_err(|rule| Mistake { path: String::new(), rule: rule.to_string(), key })
}

/// The record that an object names, as far as it does: for a record of an attempt.
fn audit_key(object: &Value) -> AuditKey {
    let name = |member: &str| object.get(member)?.as_str().map(|text| fit(text).into_owned());
    AuditKey {
        client_identifier: name("clientIdentifier"),
        participant_context: name("participantContext"),
        scope: name("scope"),
    }
}

/// The bytes of a body, at most so many.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Problem> {
    let media_type = body::media_type(headers).map_err(|error| Problem::bad_request(error.to_string()))?;
    if media_type.is_some_and(|media_type| !media_type.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be application/json",
        ));
    }
    body::read(body, max_bytes).await.map_err(|error| match error {
        BodyError::TooLarge => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body must be at most {max_bytes} bytes"))
        }
        BodyError::TooSlow => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body must arrive within 30 s"),
        BodyError::Broken => Problem::bad_request("the body ended too early"),
    })
}
