//! TokenRequest: what `kubectl create token` and the kubelet call.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cluster::State;
use super::reviews::is_administrator;
use super::routes::{caller, media_type, read, read_json};
use super::status::Failure;
use super::tokens::TokenBuilder;
use super::{key, protobuf};
use crate::clock::now;
use crate::encoding::lock;

const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
const DEFAULT: i64 = 3600;

#[derive(Deserialize)]
struct TokenRequest {
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) audiences: Option<Vec<String>>,
    pub(super) expiration_seconds: Option<i64>,
    pub(super) bound_object_ref: Option<BoundObject>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BoundObject {
    pub(super) kind: String,
    pub(super) api_version: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// `POST /api/v1/namespaces/{namespace}/serviceaccounts/{name}/token`
pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let caller = caller(&state, &headers)?;
    if !is_administrator(&caller) {
        let what = format!(
            "create resource \"serviceaccounts/token\" in API group \"\" in the namespace {namespace:?}"
        );
        return Err(Failure::forbidden(&format!("serviceaccounts {name:?}"), &caller.username, &what));
    }
    let Spec { audiences, expiration_seconds, bound_object_ref } = read_spec(&headers, body).await?;
    let lifetime = expiration_seconds.unwrap_or(DEFAULT);
    check_lifetime(&name, lifetime)?;
    if !lock(&state.cluster).service_accounts.contains_key(&key(&namespace, &name)) {
        return Err(Failure::not_found(format!("serviceaccounts {name:?} not found")));
    }

    let audiences = audiences.filter(|list| !list.is_empty()).unwrap_or_else(|| state.api_audiences.clone());
    let mut token = TokenBuilder::new(Arc::clone(&state), &namespace, &name).expires_in(lifetime);
    for audience in &audiences {
        token = token.audience(audience);
    }
    if let Some(bound) = &bound_object_ref {
        check_bound_object(&state, &namespace, bound)?;
        token = token.pod(&bound.name);
    }
    let answer = json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "name": name, "namespace": namespace, "creationTimestamp": to_seconds(now()) },
        "spec": {
            "audiences": audiences,
            "expirationSeconds": lifetime,
            "boundObjectRef": bound_object_ref,
        },
        "status": {
            "token": token.mint(),
            "expirationTimestamp": to_seconds(now() + SignedDuration::from_secs(lifetime)),
        },
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn read_spec(headers: &HeaderMap, body: Body) -> Result<Spec, Failure> {
    if media_type(headers) != Some(protobuf::MEDIA_TYPE) {
        return Ok(read_json::<TokenRequest>(headers, body).await?.spec);
    }
    protobuf::token_request(&read(body).await?)
        .ok_or_else(|| Failure::bad_request("the object provided is unrecognized"))
}

fn check_lifetime(name: &str, lifetime: i64) -> Result<(), Failure> {
    let wrong = if lifetime < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if lifetime > LONGEST {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    Err(Failure::invalid(format!(
        "TokenRequest.authentication.k8s.io {name:?} is invalid: spec.expirationSeconds: Invalid value: \
         {lifetime}: {wrong}"
    )))
}

fn check_bound_object(state: &State, namespace: &str, bound: &BoundObject) -> Result<(), Failure> {
    if bound.kind != "Pod" {
        return Err(Failure::bad_request(format!("cannot bind token for object of type {:?}", bound.kind)));
    }
    let cluster = lock(&state.cluster);
    let Some(pod) = cluster.pods.get(&key(namespace, &bound.name)) else {
        return Err(Failure::not_found(format!("pods {:?} not found", bound.name)));
    };
    if !bound.uid.is_empty() && bound.uid != pod.uid {
        return Err(Failure::conflict(format!(
            "the UID in the bound object reference ({}) does not match the UID in record ({})",
            bound.uid, pod.uid
        )));
    }
    Ok(())
}

/// Kubernetes times have whole seconds.
fn to_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
