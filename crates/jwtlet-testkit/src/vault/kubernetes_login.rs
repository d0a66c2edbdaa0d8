//! `auth/kubernetes/login`: a service account token for a Vault token, by way of a real TokenReview.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::params::Params;
use super::policy::TokenPolicy;
use super::state::State;
use super::tokens::Login;
use crate::client::{self, Target};
use crate::encoding::{from_base64url, lock};
use crate::kubernetes::Kubernetes;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// The API server at which logins are reviewed.
#[derive(Clone)]
#[must_use]
pub struct KubernetesAuth {
    url: String,
    ca_pem: Option<String>,
    reviewer_token: Option<String>,
}

impl fmt::Debug for KubernetesAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesAuth").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KubernetesAuth {
    /// Reviews at this URL. Each login token reviews itself until a reviewer token is given.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ca_pem: None, reviewer_token: None }
    }

    /// Reviews at this cluster, with a service account `vault/vault` made for the purpose.
    pub fn attached_to(kubernetes: &Kubernetes) -> Self {
        kubernetes.create_service_account("vault", "vault");
        kubernetes.allow_reviews("vault", "vault");
        Self {
            url: kubernetes.url(),
            ca_pem: kubernetes.ca_pem(),
            reviewer_token: Some(kubernetes.token("vault", "vault").expires_in(365 * 24 * 3600).mint()),
        }
    }

    /// The certificate authority of the API server.
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// The token with which Vault itself asks (`token_reviewer_jwt`).
    pub fn reviewer_token(mut self, token: impl Into<String>) -> Self {
        self.reviewer_token = Some(token.into());
        self
    }
}

/// Who may log in with a role, and what the tokens are worth.
#[derive(Clone, Debug)]
pub struct KubernetesRole {
    /// The service accounts that may log in, as namespace and name; `*` stands for any.
    pub service_accounts: Vec<(String, String)>,
    /// The audience that login tokens must have, if any.
    pub audience: Option<String>,
    /// What a token may do. It is renewable, whatever the policy says.
    pub policy: TokenPolicy,
    /// How long a token lives.
    pub ttl: Duration,
    /// How long renewals may keep it alive.
    pub max_ttl: Option<Duration>,
}

impl KubernetesRole {
    fn admits(&self, namespace: &str, name: &str) -> bool {
        let matches = |allowed: &str, actual: &str| allowed == "*" || allowed == actual;
        self.service_accounts.iter().any(|(ns, n)| matches(ns, namespace) && matches(n, name))
    }
}

struct Reviewed {
    namespace: String,
    name: String,
    uid: String,
}

pub(super) async fn login(state: &Arc<State>, params: &Params) -> Result<Answer, Refusal> {
    let given = |name: &'static str| -> Result<String, Refusal> {
        let text = params.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Refusal::bad_request(format!("missing {name}")))
    };
    let (role_name, jwt) = (given("role")?, given("jwt")?);
    let role = lock(&state.roles).get(&role_name).cloned();
    let role = role.ok_or_else(|| Refusal::bad_request(format!("invalid role name {role_name:?}")))?;
    let kubernetes = state.kubernetes.as_ref().ok_or_else(Refusal::permission_denied)?;
    let account = review(kubernetes, &jwt, role.audience.as_deref()).await;
    let account = account
        .filter(|account| role.admits(&account.namespace, &account.name))
        .ok_or_else(Refusal::permission_denied)?;

    let mut policy = role.policy.clone().ttl(role.ttl).renewable(true);
    policy.max_ttl = role.max_ttl.or(policy.max_ttl);
    let metadata = BTreeMap::from([
        ("role".to_owned(), role_name.clone()),
        ("service_account_name".to_owned(), account.name),
        ("service_account_namespace".to_owned(), account.namespace),
        ("service_account_uid".to_owned(), account.uid),
        ("service_account_secret_name".to_owned(), String::new()),
    ]);
    let login = Login { mount: state.kubernetes_mount.clone(), role: role_name, metadata };
    let (secret, token) = state.tokens.insert(&policy, Some(login));
    Ok(Answer::auth(token.auth(&secret, token.seconds_left())))
}

/// Asks the API server about a login token: for the audience of the role, or else for the token's own.
async fn review(kubernetes: &KubernetesAuth, jwt: &str, audience: Option<&str>) -> Option<Reviewed> {
    let audiences = match audience {
        Some(audience) => json!([audience]),
        None => own_audiences(jwt)?,
    };
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": jwt, "audiences": audiences },
    });
    let target = Target {
        url: &kubernetes.url,
        ca_pem: kubernetes.ca_pem.as_deref(),
        bearer: kubernetes.reviewer_token.as_deref().unwrap_or(jwt),
    };
    let answer = client::post_json(&target, REVIEWS, &request).await.ok()?;
    let status = answer.get("status")?;
    if status.get("authenticated") != Some(&Value::Bool(true)) || status.get("error").is_some() {
        return None;
    }
    let user = status.get("user")?;
    let mut parts = user.get("username")?.as_str()?.strip_prefix("system:serviceaccount:")?.split(':');
    Some(Reviewed {
        namespace: parts.next()?.to_owned(),
        name: parts.next()?.to_owned(),
        uid: user.get("uid")?.as_str()?.to_owned(),
    })
}

fn own_audiences(jwt: &str) -> Option<Value> {
    let payload = from_base64url(jwt.split('.').nth(1)?)?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    match claims.get("aud") {
        Some(Value::String(audience)) => Some(json!([audience])),
        Some(audiences) => Some(audiences.clone()),
        None => Some(json!([])),
    }
}
