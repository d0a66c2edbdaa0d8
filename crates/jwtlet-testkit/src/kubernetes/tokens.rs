//! Service account tokens, good ones and bad ones.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cluster::{State, new_uid};
use super::key;
use crate::clock::now;
use crate::encoding::{base64url, lock};

const DEFAULT_LIFETIME: i64 = 3600;

/// A token in the making. Left alone, it is what the API server itself would issue for an hour.
#[must_use = "a token is made by `mint`"]
pub struct TokenBuilder {
    state: Arc<State>,
    namespace: String,
    name: String,
    audiences: Vec<String>,
    lifetime: i64,
    not_before: Option<i64>,
    pod: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    claims: Map<String, Value>,
    header: Map<String, Value>,
    without: Vec<String>,
    foreign: bool,
}

impl fmt::Debug for TokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBuilder")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

impl TokenBuilder {
    pub(super) fn new(state: Arc<State>, namespace: &str, name: &str) -> Self {
        Self {
            state,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            audiences: Vec::new(),
            lifetime: DEFAULT_LIFETIME,
            not_before: None,
            pod: None,
            subject: None,
            issuer: None,
            claims: Map::new(),
            header: Map::new(),
            without: Vec::new(),
            foreign: false,
        }
    }

    /// Adds an audience. Without any, the token is for the API server.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Seconds until expiry. Zero or less makes a token that was issued an hour before it expired.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.lifetime = seconds;
        self
    }

    /// Seconds until the token becomes valid.
    pub fn not_before_in(mut self, seconds: i64) -> Self {
        self.not_before = Some(seconds);
        self
    }

    /// Binds the token to a pod of the same namespace, whether it exists or not.
    pub fn pod(mut self, name: impl Into<String>) -> Self {
        self.pod = Some(name.into());
        self
    }

    /// Sets a top-level claim, replacing what would be there.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets a header member, replacing what would be there.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Leaves a top-level claim out.
    pub fn without(mut self, claim: impl Into<String>) -> Self {
        self.without.push(claim.into());
        self
    }

    /// Sets `sub`. The API server takes the user from `kubernetes.io` and never reads this.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `iss`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Signs with a key the API server does not know.
    pub fn foreign_key(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Makes the token.
    #[must_use]
    pub fn mint(self) -> String {
        self.mint_with_id().0
    }

    /// Makes the token and tells its id (`jti`).
    pub(super) fn mint_with_id(self) -> (String, String) {
        let signer = if self.foreign { &self.state.foreign_key } else { &self.state.issuer_key };
        let mut header = json!({ "alg": "RS256", "kid": signer.id() });
        let id = new_uid();
        let mut claims = self.default_claims(&id);
        if let (Value::Object(header), Value::Object(claims)) = (&mut header, &mut claims) {
            header.extend(self.header);
            claims.extend(self.claims);
            claims.retain(|name, _| !self.without.contains(name));
        }
        let message = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = base64url(signer.sign(message.as_bytes()));
        (format!("{message}.{signature}"), id)
    }

    fn default_claims(&self, id: &str) -> Value {
        let now = now().as_second();
        let expires = now.saturating_add(self.lifetime);
        let issued = if self.lifetime > 0 { now } else { expires.saturating_sub(DEFAULT_LIFETIME) };
        let not_before = self.not_before.map_or(issued, |seconds| now.saturating_add(seconds));
        let audiences = if self.audiences.is_empty() { &self.state.api_audiences } else { &self.audiences };
        let subject = self
            .subject
            .clone()
            .unwrap_or_else(|| format!("system:serviceaccount:{}:{}", self.namespace, self.name));
        json!({
            "aud": audiences,
            "exp": expires,
            "iat": issued,
            "iss": self.issuer.as_ref().unwrap_or(&self.state.issuer),
            "jti": id,
            "kubernetes.io": self.private_claims(),
            "nbf": not_before,
            "sub": subject,
        })
    }

    fn private_claims(&self) -> Value {
        let cluster = lock(&self.state.cluster);
        let uid = cluster.service_accounts.get(&key(&self.namespace, &self.name)).cloned();
        let mut claims = json!({
            "namespace": self.namespace,
            "serviceaccount": { "name": self.name, "uid": uid.unwrap_or_else(new_uid) },
        });
        if let Some(name) = &self.pod {
            let pod = cluster.pods.get(&key(&self.namespace, name));
            let uid = pod.map_or_else(new_uid, |pod| pod.uid.clone());
            claims["pod"] = json!({ "name": name, "uid": uid });
            if let Some(pod) = pod {
                claims["node"] = json!({ "name": pod.node, "uid": pod.node_uid });
            }
        }
        claims
    }
}
