//! The token store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::policy::{Operation, TokenPolicy};
use crate::clock::now;
use crate::encoding::lock;

/// All tokens, by the secret itself.
#[derive(Default)]
pub(super) struct Tokens {
    tokens: Mutex<HashMap<String, Token>>,
}

/// One token. The secret is the key of the map that holds it.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) accessor: String,
    pub(super) policy: TokenPolicy,
    pub(super) issued: Timestamp,
    pub(super) expires: Option<Timestamp>,
    pub(super) last_renewal: Option<Timestamp>,
    /// Requests it has left, if they are limited.
    uses_left: Option<u64>,
    /// The Kubernetes login it came from.
    pub(super) login: Option<Login>,
}

/// Where a token came from.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) mount: String,
    pub(super) role: String,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Tokens {
    pub(super) fn create(&self, policy: &TokenPolicy) -> String {
        self.insert(policy, None).0
    }

    /// Makes a token and returns it together with its secret.
    pub(super) fn insert(&self, policy: &TokenPolicy, login: Option<Login>) -> (String, Token) {
        let secret = format!("hvs.{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let issued = now();
        let first = policy.period.or(policy.ttl).or(policy.max_ttl);
        let token = Token {
            accessor: Uuid::new_v4().simple().to_string(),
            expires: first.map(|ttl| issued + signed(ttl)),
            issued,
            last_renewal: None,
            uses_left: (policy.uses > 0).then_some(policy.uses),
            policy: policy.clone(),
            login,
        };
        lock(&self.tokens).insert(secret.clone(), token.clone());
        (secret, token)
    }

    pub(super) fn revoke(&self, secret: &str) {
        lock(&self.tokens).remove(secret);
    }

    /// The token behind a secret, one use poorer, if it is alive and may do this.
    pub(super) fn authorize(
        &self,
        secret: &str,
        operation: Operation,
        path: &str,
        mount: &str,
    ) -> Option<Token> {
        let mut tokens = lock(&self.tokens);
        let token = tokens.get_mut(secret)?;
        if token.expires.is_some_and(|expires| expires <= now()) {
            tokens.remove(secret);
            return None;
        }
        if let Some(left) = &mut token.uses_left {
            *left = left.saturating_sub(1);
        }
        let spent = token.clone();
        if spent.uses_left == Some(0) {
            tokens.remove(secret);
        }
        spent.policy.allows(operation, path, mount).then_some(spent)
    }

    /// Writes a renewal back.
    pub(super) fn extend(&self, secret: &str, expires: Timestamp) {
        if let Some(token) = lock(&self.tokens).get_mut(secret) {
            token.expires = Some(expires);
            token.last_renewal = Some(now());
        }
    }
}

impl Token {
    /// What `auth/token/lookup-self` tells; `secret` is part of it.
    pub(super) fn describe(&self, secret: &str) -> Value {
        let creation_ttl = self.policy.period.or(self.policy.ttl).unwrap_or_default().as_secs();
        let mut data = json!({
            "accessor": self.accessor,
            "creation_time": self.issued.as_second(),
            "creation_ttl": creation_ttl,
            "display_name": self.display_name(),
            "entity_id": "",
            "expire_time": self.expires.map(|time| time.to_string()),
            "explicit_max_ttl": 0,
            "id": secret,
            "issue_time": self.issued.to_string(),
            "meta": self.login.as_ref().map(|login| &login.metadata),
            "num_uses": self.uses_left.unwrap_or_default(),
            "orphan": true,
            "path": self.login.as_ref().map_or_else(
                || "auth/token/create".to_owned(),
                |login| format!("auth/{}/login", login.mount),
            ),
            "policies": self.policy.names(),
            "ttl": self.seconds_left(),
            "type": "service",
        });
        if self.expires.is_some() {
            data["renewable"] = self.policy.renewable.into();
        }
        if let Some(period) = self.policy.period {
            data["period"] = period.as_secs().into();
        }
        if let Some(time) = self.last_renewal {
            data["last_renewal"] = time.to_string().into();
            data["last_renewal_time"] = time.as_second().into();
        }
        data
    }

    /// The `auth` member of a login or a renewal.
    pub(super) fn auth(&self, secret: &str, lease: i64) -> Value {
        let policies = self.policy.names();
        json!({
            "client_token": secret,
            "accessor": self.accessor,
            "policies": policies,
            "token_policies": policies,
            "metadata": self.login.as_ref().map(|login| &login.metadata),
            "lease_duration": lease,
            "renewable": self.policy.renewable,
            "entity_id": "",
            "token_type": "service",
            "orphan": true,
            "mfa_requirement": null,
            "num_uses": self.uses_left.unwrap_or_default(),
        })
    }

    pub(super) fn seconds_left(&self) -> i64 {
        self.expires.map_or(0, |expires| rounded(expires.duration_since(now())))
    }

    fn display_name(&self) -> String {
        match &self.login {
            Some(login) => format!("{}-{}", login.mount, login.role),
            None if self.policy.is_root() => "root".to_owned(),
            None => "token".to_owned(),
        }
    }
}

/// Whole seconds, with half a second rounded up: a lease of two seconds is not shown as one.
pub(super) fn rounded(time: SignedDuration) -> i64 {
    (time + SignedDuration::from_millis(500)).as_secs().max(0)
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::from_hours(24 * 365))
}
