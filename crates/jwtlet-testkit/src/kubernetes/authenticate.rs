//! Who a bearer token speaks for. Used for callers and for the tokens they ask about alike, as in the original.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cluster::{Cluster, State};
use super::key;
use crate::clock::now;
use crate::encoding::{from_base64url, lock};

/// How long after `exp`, and before `nbf`, a token is still accepted, in seconds.
const LEEWAY: i64 = 60;
const INVALID: &str = "invalid bearer token";
const EXTRA: &str = "authentication.kubernetes.io/";

/// What the authenticators say of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// No bearer token was presented at all.
    Anonymous,
    User(User),
    /// The token is refused, for this reason.
    Refused(String),
}

/// An authenticated user.
#[derive(Debug, Default, PartialEq)]
pub(super) struct User {
    pub(super) username: String,
    pub(super) uid: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
    pub(super) audiences: Vec<String>,
    /// Namespace and name, if the user is a service account.
    pub(super) service_account: Option<(String, String)>,
}

#[derive(Deserialize)]
struct Issued {
    iss: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Audience,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: Option<String>,
    #[serde(rename = "kubernetes.io", default)]
    private: PrivateClaims,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PrivateClaims {
    namespace: String,
    serviceaccount: Reference,
    pod: Option<Reference>,
    node: Option<Reference>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    name: String,
    uid: String,
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl State {
    /// Judges an `Authorization` header for these audiences.
    ///
    /// The header is split at spaces as the original does it. So a token that begins with a space is no
    /// bearer token and leaves the caller anonymous, and what follows a space inside a token is not read.
    pub(super) fn authenticate(&self, authorization: &str, audiences: &[String]) -> Verdict {
        let mut parts = authorization.trim().splitn(3, ' ');
        let (scheme, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Verdict::Anonymous;
        }
        if token == self.admin_token {
            let audiences = intersection(&self.api_audiences, audiences);
            return if audiences.is_empty() {
                refused(INVALID)
            } else {
                Verdict::User(administrator(audiences))
            };
        }
        match self.service_account(token, audiences) {
            None => refused(INVALID),
            Some(Ok(user)) => Verdict::User(user),
            Some(Err(reason)) => Verdict::Refused(format!("[{INVALID}, {reason}]")),
        }
    }

    /// `None` if the token is not one of this issuer.
    fn service_account(&self, token: &str, audiences: &[String]) -> Option<Result<User, String>> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let payload = from_base64url(payload)?;
        let issued: Issued = serde_json::from_slice(&payload).ok()?;
        if issued.iss.as_deref() != Some(&self.issuer) {
            return None;
        }
        let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        Some(self.check(&header, message, signature, claims, audiences))
    }

    fn check(
        &self,
        header: &Header,
        message: &str,
        signature: &str,
        claims: Claims,
        audiences: &[String],
    ) -> Result<User, String> {
        if !header.kid.is_empty() && header.kid != self.issuer_key.id() {
            return Err("invalid signature, no keys found".to_owned());
        }
        let signature = from_base64url(signature).unwrap_or_default();
        if header.alg != "RS256" || !self.issuer_key.verifies(message.as_bytes(), &signature) {
            return Err("go-jose/go-jose: error in cryptographic primitive".to_owned());
        }
        let own = match claims.aud {
            Audience::One(audience) => vec![audience],
            Audience::Many(audiences) if audiences.is_empty() => self.api_audiences.clone(),
            Audience::Many(audiences) => audiences,
        };
        let matching = intersection(&own, audiences);
        if matching.is_empty() {
            return Err(format!(
                "token audiences {} is invalid for the target audiences {}",
                quoted(&own),
                quoted(audiences)
            ));
        }
        check_times(claims.exp, claims.nbf, claims.iat)?;
        check_objects(&lock(&self.cluster), &claims.private, claims.jti.as_deref())?;
        Ok(user(claims.private, claims.jti, matching))
    }
}

fn check_times(exp: Option<i64>, nbf: Option<i64>, iat: Option<i64>) -> Result<(), String> {
    let now = now().as_second();
    if nbf.is_some_and(|nbf| now.saturating_add(LEEWAY) < nbf) {
        return Err("service account token is not valid yet".to_owned());
    }
    if exp.is_some_and(|exp| now.saturating_sub(LEEWAY) > exp) {
        return Err("service account token has expired".to_owned());
    }
    if iat.is_some_and(|iat| now.saturating_add(LEEWAY) < iat) {
        return Err("service account token claims could not be validated due to unexpected validation error"
            .to_owned());
    }
    Ok(())
}

fn check_objects(cluster: &Cluster, claims: &PrivateClaims, id: Option<&str>) -> Result<(), String> {
    let account = &claims.serviceaccount;
    let Some(uid) = cluster.service_accounts.get(&key(&claims.namespace, &account.name)) else {
        return Err(format!("serviceaccounts {:?} not found", account.name));
    };
    if *uid != account.uid {
        return Err(format!("service account UID ({uid}) does not match claim ({})", account.uid));
    }
    if let Some(bound) = &claims.pod {
        let Some(pod) = cluster.pods.get(&key(&claims.namespace, &bound.name)) else {
            return Err("service account token has been invalidated".to_owned());
        };
        if pod.uid != bound.uid {
            return Err(format!(
                "pod UID ({}) does not match service account pod ref claim ({})",
                pod.uid, bound.uid
            ));
        }
    }
    if id.is_some_and(|id| cluster.revoked.contains(id)) {
        return Err("service account token has been invalidated".to_owned());
    }
    Ok(())
}

fn user(claims: PrivateClaims, id: Option<String>, audiences: Vec<String>) -> User {
    let (namespace, account) = (claims.namespace, claims.serviceaccount);
    let mut extra = BTreeMap::new();
    let mut note = |name: &str, value: String| extra.insert(format!("{EXTRA}{name}"), vec![value]);
    if let Some(id) = id {
        note("credential-id", format!("JTI={id}"));
    }
    if let Some(pod) = claims.pod {
        note("pod-name", pod.name);
        note("pod-uid", pod.uid);
    }
    if let Some(node) = claims.node {
        note("node-name", node.name);
        note("node-uid", node.uid);
    }
    User {
        username: format!("system:serviceaccount:{namespace}:{}", account.name),
        uid: Some(account.uid),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
        extra,
        audiences,
        service_account: Some((namespace, account.name)),
    }
}

fn administrator(audiences: Vec<String>) -> User {
    User {
        username: "kubernetes-admin".to_owned(),
        groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        audiences,
        ..User::default()
    }
}

fn refused(reason: &str) -> Verdict {
    Verdict::Refused(reason.to_owned())
}

/// What of `own` is also in `asked`, in the order of `own`.
fn intersection(own: &[String], asked: &[String]) -> Vec<String> {
    own.iter().filter(|audience| asked.contains(audience)).cloned().collect()
}

fn quoted(audiences: &[String]) -> String {
    let quoted: Vec<_> = audiences.iter().map(|audience| format!("{audience:?}")).collect();
    format!("[{}]", quoted.join(" "))
}
