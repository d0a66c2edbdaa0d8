//! TokenReview: a caller asks who a token speaks for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::authenticate::{User, Verdict};
use super::cluster::State;
use super::routes::{caller, read_json};
use super::status::Failure;
use crate::clock::now;
use crate::encoding::lock;

const API_VERSION: &str = "authentication.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    token: String,
    audiences: Option<Vec<String>>,
}

/// `POST /apis/authentication.k8s.io/v1/tokenreviews`: 201, whatever the verdict.
pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let caller = caller(&state, &headers)?;
    if !state.may_review(&caller) {
        let what =
            "create resource \"tokenreviews\" in API group \"authentication.k8s.io\" at the cluster scope";
        return Err(Failure::forbidden("tokenreviews.authentication.k8s.io", &caller.username, what));
    }
    let review: Review = read_json(&headers, body).await?;
    if ![API_VERSION, ""].contains(&&*review.api_version) || !["TokenReview", ""].contains(&&*review.kind) {
        return Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a TokenReview: no kind {:?} is registered",
            review.kind, review.api_version, review.kind
        )));
    }
    let Spec { token, audiences } = review.spec;
    if token.is_empty() {
        return Err(Failure::bad_request("token is required for TokenReview in authentication"));
    }
    state.count(&token);

    let asked =
        audiences.as_deref().filter(|audiences| !audiences.is_empty()).unwrap_or(&state.api_audiences);
    let verdict = match state.authenticate(&format!("Bearer {token}"), asked) {
        Verdict::User(user) => positive(user),
        Verdict::Anonymous => positive(User { audiences: asked.to_vec(), ..anonymous() }),
        Verdict::Refused(reason) => json!({ "user": {}, "error": reason }),
    };
    let mut answer = answer(&token, audiences.as_deref(), &verdict);
    for hook in lock(&state.hooks).iter_mut() {
        hook(&mut answer);
    }
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The user a request without credentials speaks for.
pub(super) fn anonymous() -> User {
    User {
        username: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated".to_owned()],
        ..User::default()
    }
}

impl State {
    fn may_review(&self, caller: &User) -> bool {
        let cluster = lock(&self.cluster);
        let permitted = match &caller.service_account {
            Some(account) => cluster.reviewers.contains(account),
            None => is_administrator(caller),
        };
        permitted && !cluster.reviews_forbidden
    }

    fn count(&self, token: &str) {
        let hash = digest(&SHA256, token.as_bytes()).as_ref().to_vec();
        *lock(&self.reviews_by_token).entry(hash).or_default() += 1;
        self.reviews.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether nothing is forbidden to this user.
pub(super) fn is_administrator(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

fn answer(token: &str, audiences: Option<&[String]>, status: &Value) -> Value {
    let mut spec = json!({ "token": token });
    if let Some(audiences) = audiences {
        spec["audiences"] = json!(audiences);
    }
    json!({
        "kind": "TokenReview",
        "apiVersion": API_VERSION,
        "metadata": {
            "creationTimestamp": null,
            "managedFields": [{
                "manager": "testkit",
                "operation": "Update",
                "apiVersion": API_VERSION,
                "time": now().to_string(),
                "fieldsType": "FieldsV1",
                "fieldsV1": { "f:spec": { "f:audiences": {}, "f:token": {} } },
            }],
        },
        "spec": spec,
        "status": status,
    })
}

/// A positive status; members without a value are absent.
fn positive(user: User) -> Value {
    let mut described = Map::new();
    described.insert("username".to_owned(), user.username.into());
    if let Some(uid) = user.uid {
        described.insert("uid".to_owned(), uid.into());
    }
    described.insert("groups".to_owned(), user.groups.into());
    if !user.extra.is_empty() {
        described.insert("extra".to_owned(), json!(user.extra));
    }
    json!({ "authenticated": true, "user": described, "audiences": user.audiences })
}
