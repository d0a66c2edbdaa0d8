//! The wire format of `authentication.k8s.io/v1` `TokenReview`.
//!
//! The answer echoes the reviewed token in `spec`. There is no field for it here, so it is dropped while parsing and
//! cannot be logged.

use serde::{Deserialize, Deserializer, Serialize};

/// The path of the API, below the API server's URL.
pub(crate) const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReviewRequest<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    audiences: Option<[&'a str; 1]>,
}

impl<'a> ReviewRequest<'a> {
    /// Asks about a token; without an audience, for the API server's own ones.
    pub(crate) fn new(token: &'a str, audience: Option<&'a str>) -> Self {
        Self {
            api_version: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec: Spec { token, audiences: audience.map(|audience| [audience]) },
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct ReviewAnswer {
    /// Absent only when the answer is not from a Kubernetes API server.
    pub(crate) status: Option<Status>,
}

/// Every member may be absent: the API leaves out what is empty. Servers in Go that do not leave it out write an empty
/// list as `null`, so that stands for absent, too.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) authenticated: bool,
    pub(crate) user: User,
    #[serde(deserialize_with = "list_or_null")]
    pub(crate) audiences: Vec<String>,
    pub(crate) error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    pub(crate) username: String,
    pub(crate) uid: String,
    #[serde(deserialize_with = "list_or_null")]
    pub(crate) groups: Vec<String>,
}

fn list_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
