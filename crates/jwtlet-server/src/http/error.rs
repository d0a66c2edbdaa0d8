//! The one place where an error becomes status, headers and body.
//!
//! The token endpoint answers in the form of RFC 6749 §5.2, everything else in that of RFC 9457. A failure of ours is
//! logged here, once, with all its causes; the caller gets a fixed text.

use std::{any::Any, borrow::Cow, fmt, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    ExchangeError, UpstreamError, apply::RecordKind, audit::AuditKey, evaluation::Refusal, policy::Denial,
    upstream::chain,
};
use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

use super::wording::fit;

/// When to come back where the failing system did not say, in seconds.
const RETRY_AFTER_SECS: u64 = 1;

/// Why a source has to wait.
pub(crate) const SOURCE_LIMIT: &str = "too many requests from this address; wait";

/// Why a client has to wait.
pub(crate) const CLIENT_LIMIT: &str = "too many requests of this client; wait";

/// The error codes of the token endpoint: RFC 6749 §5.2, RFC 8693 §2.2.2, and two for failures of ours, for which the
/// RFCs have none at this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
    TemporarilyUnavailable,
    ServerError,
}

/// An error of the token endpoint.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    code: ErrorCode,
    description: Cow<'static, str>,
    retry_after: Option<u64>,
}

impl OAuthError {
    pub(crate) fn new(
        status: StatusCode,
        code: ErrorCode,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, description: description.into(), retry_after: None }
    }

    /// 400 `invalid_request`.
    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, description)
    }

    /// 429 with a time to come back, in seconds.
    pub(crate) fn too_many(description: &'static str, retry_after: u64) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TemporarilyUnavailable, description);
        Self { retry_after: Some(retry_after), ..error }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The description as it is sent.
    pub(crate) fn description(&self) -> String {
        printable(&fit(&self.description))
    }
}

/// As a log line has it.
impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, fit(&self.description))
    }
}

impl From<&ExchangeError> for OAuthError {
    fn from(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Rejected(_) => Self::invalid_request(error.to_string()),
            ExchangeError::Limited { retry_after, .. } => Self::too_many(CLIENT_LIMIT, *retry_after),
            ExchangeError::Refused { refusal, .. } => Self::from(refusal),
            ExchangeError::Upstream(error) => Self::from(error),
        }
    }
}

impl From<&Refusal> for OAuthError {
    fn from(refusal: &Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::Denied(Denial::NoMapping | Denial::Expired(_)) => {
                (StatusCode::FORBIDDEN, ErrorCode::UnauthorizedClient)
            }
            Refusal::Denied(Denial::ScopesNotGranted(_)) => (StatusCode::FORBIDDEN, ErrorCode::InvalidScope),
            Refusal::Denied(Denial::AudiencesNotAllowed(_) | Denial::DefaultAudienceNotAllowed(_)) => {
                (StatusCode::FORBIDDEN, ErrorCode::InvalidTarget)
            }
            Refusal::Conflict(_) => (StatusCode::BAD_REQUEST, ErrorCode::InvalidScope),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<&UpstreamError> for OAuthError {
    fn from(error: &UpstreamError) -> Self {
        log_upstream(error);
        match error {
            UpstreamError::Unavailable { retry_after, .. } => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: ErrorCode::TemporarilyUnavailable,
                description: "a system that is needed for the exchange does not answer; try again".into(),
                retry_after: Some(retry_secs(*retry_after)),
            },
            UpstreamError::Misconfigured { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::ServerError,
                "the exchange service is set up wrongly; tell its operator",
            ),
        }
    }
}

fn retry_secs(retry_after: Option<Duration>) -> u64 {
    retry_after.map_or(RETRY_AFTER_SECS, |duration| duration.as_secs().clamp(1, 300))
}

/// Logs a failure of ours.
pub(crate) fn log_upstream(error: &UpstreamError) {
    match error {
        UpstreamError::Unavailable { system, .. } => warn!(%system, error = chain(error), "a request fails"),
        UpstreamError::Misconfigured { system, .. } => {
            error!(%system, error = chain(error), "a request fails");
        }
    }
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Serialize, ToSchema)]
#[schema(as = TokenError)]
pub(super) struct OAuthBody<'a> {
    error: ErrorCode,
    /// What to change.
    #[schema(pattern = r"^[ !#-\[\]-~]*$")]
    error_description: &'a str,
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let description = self.description();
        let body = OAuthBody { error: self.code, error_description: &description };
        let mut response = (self.status, NO_STORE, axum::Json(body)).into_response();
        set_retry_after(&mut response, self.retry_after);
        response
    }
}

/// The cache headers of every answer of the token endpoint (RFC 6749 §5.1).
pub(crate) const NO_STORE: [(header::HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];

/// Replaces what RFC 6749 §5.2 does not allow in a description.
fn printable(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}');
    text.chars().map(|c| if allowed(c) { c } else { '?' }).collect()
}

fn set_retry_after(response: &mut Response, seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// An error everywhere but at the token endpoint: a problem of RFC 9457.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    challenge: Option<HeaderValue>,
    about: Option<Box<AuditKey>>,
    errors: Vec<DocumentError>,
}

/// What is wrong with one of many documents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentError {
    pub(crate) document: DocumentName,
    /// The member, as a path; empty where it is the whole document.
    pub(crate) field: String,
    /// The rule that it breaks.
    pub(crate) message: String,
}

/// One of many documents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentName {
    pub(crate) kind: RecordKind,
    /// Its place among those of its kind.
    pub(crate) index: usize,
    /// The record that it names, as far as it does.
    pub(crate) key: AuditKey,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            challenge: None,
            about: None,
            errors: vec![],
        }
    }

    /// With what is wrong with which document.
    pub(crate) fn with_errors(self, errors: Vec<DocumentError>) -> Self {
        Self { errors, ..self }
    }

    /// 400 with a detail that names field and rule.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401 with a challenge of RFC 6750 §3.
    pub(crate) fn unauthorized(detail: impl Into<Cow<'static, str>>, error: Option<&str>) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, detail);
        let challenge = match error {
            None => "Bearer realm=\"jwtlet\"".to_owned(),
            Some(error) => {
                format!(
                    "Bearer realm=\"jwtlet\", error=\"{error}\", error_description=\"{}\"",
                    printable(&problem.detail)
                )
            }
        };
        Self { challenge: HeaderValue::try_from(challenge).ok(), ..problem }
    }

    /// 429 with a time to come back, in seconds.
    pub(crate) fn too_many(detail: &'static str, retry_after: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    /// With the record that it concerns, as far as the request names it.
    pub(crate) fn about(self, key: AuditKey) -> Self {
        Self { about: Some(Box::new(key)), ..self }
    }

    /// Whether it is the caller's.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }

    /// The detail as it is sent.
    pub(crate) fn detail(&self) -> Cow<'_, str> {
        fit(&self.detail)
    }

    /// The record that it concerns, if the request names one beyond its path.
    pub(crate) fn concerns(&self) -> Option<&AuditKey> {
        self.about.as_deref()
    }

    /// With a time to come back, in seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        log_upstream(&error);
        let system = error.system();
        let (retry_after, detail) = match &error {
            UpstreamError::Unavailable { retry_after, .. } => {
                (*retry_after, format!("{system} does not answer; try again"))
            }
            UpstreamError::Misconfigured { .. } => {
                (None, format!("{system} cannot be used; tell the operator"))
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_secs(retry_after))
    }
}

/// A problem (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// `about:blank`: it is what its status says.
    r#type: &'static str,
    /// The name of the status.
    title: &'a str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, and by which rule.
    detail: &'a str,
    /// What is wrong with which document, where there are several.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [DocumentError],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail(),
            errors: &self.errors,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let headers =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, json).into_response();
        set_retry_after(&mut response, self.retry_after);
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Logs that a handler panicked: a defect, contained to its request.
fn log_panic(cause: &(dyn Any + Send)) {
    let text =
        cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    error!(panic = text.unwrap_or("unknown"), "a request handler panicked");
}

/// The answer of the exchange API to a request whose handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(crate) fn exchange_panicked(cause: Box<dyn Any + Send>) -> Response {
    log_panic(cause.as_ref());
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    OAuthError::new(status, ErrorCode::ServerError, "an internal error; tell the operator").into_response()
}

/// The answer of the management API to a request whose handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(crate) fn management_panicked(cause: Box<dyn Any + Send>) -> Response {
    log_panic(cause.as_ref());
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal error; tell the operator").into_response()
}
