//! The envelope of every answer, and the refusals.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// What a route has to say.
#[derive(Debug)]
pub(super) enum Answer {
    /// An envelope with data, or with the result of a login.
    Envelope(Envelope),
    /// A document that is not wrapped, with a status of its own (`sys/health`).
    Bare(StatusCode, Value),
    /// Status 204.
    Empty,
}

#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) data: Value,
    pub(super) auth: Value,
    pub(super) warnings: Vec<String>,
}

impl Answer {
    pub(super) fn data(data: Value, warnings: Vec<String>) -> Self {
        Self::Envelope(Envelope { data, auth: Value::Null, warnings })
    }

    pub(super) fn auth(auth: Value) -> Self {
        Self::Envelope(Envelope { data: Value::Null, auth, warnings: Vec::new() })
    }
}

impl Envelope {
    pub(super) fn into_json(self) -> Value {
        let warnings = if self.warnings.is_empty() { Value::Null } else { self.warnings.into() };
        json!({
            "request_id": Uuid::new_v4().to_string(),
            "lease_id": "",
            "renewable": false,
            "lease_duration": 0,
            "data": self.data,
            "wrap_info": null,
            "warnings": warnings,
            "auth": self.auth,
        })
    }
}

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) errors: Vec<String>,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, errors: vec![error.into()] }
    }

    /// The requester's fault.
    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// An error the original does not map to a status, in the wrapping it then has.
    pub(super) fn internal(error: impl AsRef<str>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, wrapped(error.as_ref()))
    }

    /// The one answer to a missing, unknown, expired or insufficient token.
    pub(super) fn permission_denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission denied")
    }

    pub(super) fn sealed() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed")
    }

    /// A thing that does not exist: 404 with an empty list.
    pub(super) fn nothing_here() -> Self {
        Self { status: StatusCode::NOT_FOUND, errors: Vec::new() }
    }

    pub(super) fn no_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no handler for route {path:?}. route entry not found."))
    }

    pub(super) fn no_namespace() -> Self {
        Self::new(StatusCode::NOT_FOUND, "namespace not found")
    }

    pub(super) fn unsupported_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, wrapped("unsupported path"))
    }

    pub(super) fn unsupported_operation() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, wrapped("unsupported operation"))
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large")
    }

    pub(super) fn into_json(self) -> Value {
        json!({ "errors": self.errors })
    }
}

fn wrapped(error: &str) -> String {
    format!("1 error occurred:\n\t* {error}\n\n")
}
