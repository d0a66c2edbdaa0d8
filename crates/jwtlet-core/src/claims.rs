//! The claims of an issued token, in the order in which they are written.

use jiff::Timestamp;
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use uuid::Uuid;

use crate::{Audience, ParticipantContext, Subject, scope_claims::ScopeClaims};

/// Everything that goes into one token.
///
/// jwtlet sets these claims and nothing else: no `client_id`, no `scope` of its own. Downstream validators read
/// `client_id` as the caller, and the caller is in `act`.
#[derive(Debug)]
pub struct Claims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`, and once more under the configured name.
    pub participant_context: &'a ParticipantContext,
    /// The configured name.
    pub participant_context_claim: &'a str,
    /// `aud`: a text when there is one, an array when there are several.
    pub audiences: &'a [Audience],
    /// `iat` and `nbf`, cut to whole seconds.
    pub issued_at: Timestamp,
    /// `exp` minus `iat`, in seconds.
    pub ttl_secs: u32,
    /// `jti`.
    pub id: Uuid,
    /// `act`: who really calls (RFC 8693 §4.1).
    pub actor: Actor<'a>,
    /// The claims of the granted scopes.
    pub scope_claims: &'a ScopeClaims,
}

/// The `act` claim.
#[derive(Debug, Serialize)]
pub struct Actor<'a> {
    /// The service account.
    sub: &'a str,
    /// The cluster that vouches for it.
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_uid: Option<&'a str>,
}

impl<'a> Actor<'a> {
    /// The verified subject of a cluster.
    #[must_use]
    pub fn new(subject: &'a Subject, cluster_issuer: &'a str) -> Self {
        Self { sub: subject.identity.as_str(), iss: cluster_issuer, k8s_uid: subject.uid.as_deref() }
    }
}

impl Claims<'_> {
    /// The payload of the token.
    ///
    /// # Errors
    /// None in practice: every member is JSON already.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let members = self.scope_claims.members().map_err(serde_json::Error::custom)?;
        let mut json = serde_json::to_string(&Own(self))?;
        if !members.is_empty() {
            json.pop();
            json.reserve(members.len() + 2);
            json.extend([",", members, "}"]);
        }
        Ok(json)
    }
}

/// The claims that jwtlet sets itself.
struct Own<'a>(&'a Claims<'a>);

impl Serialize for Own<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(claims) = self;
        let issued_at = claims.issued_at.as_second();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", claims.issuer)?;
        map.serialize_entry("sub", claims.participant_context)?;
        map.serialize_entry(claims.participant_context_claim, claims.participant_context)?;
        match claims.audiences {
            [one] => map.serialize_entry("aud", one)?,
            several => map.serialize_entry("aud", several)?,
        }
        map.serialize_entry("iat", &issued_at)?;
        map.serialize_entry("nbf", &issued_at)?;
        map.serialize_entry("exp", &(issued_at + i64::from(claims.ttl_secs)))?;
        map.serialize_entry("jti", &claims.id)?;
        map.serialize_entry("act", &claims.actor)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ClientIdentifier, Scope,
        mapping::{ClaimRules, ScopeMapping},
    };

    fn scope_claims(claims: Vec<Value>) -> ScopeClaims {
        let mapping = |(i, claims): (usize, Value)| {
            let claims = claims.as_object().unwrap().clone();
            ScopeMapping::restore(Scope::parse(&format!("s{i}")).unwrap(), claims)
        };
        let mappings: Vec<_> = claims.into_iter().enumerate().map(mapping).collect();
        let rules = Arc::new(ClaimRules::new("pc".into(), [].into()).unwrap());
        ScopeClaims::new([].into(), &mappings, &rules).unwrap()
    }

    #[test]
    fn the_token_has_exactly_these_claims() {
        let subject = Subject { identity: ClientIdentifier::parse("sa").unwrap(), uid: Some("u-1".into()) };
        let audience = |name| Audience::parse(name).unwrap();
        let one = Claims {
            issuer: "https://jwtlet",
            participant_context: &ParticipantContext::parse("tenant").unwrap(),
            participant_context_claim: "jwtlet_pc",
            audiences: &[audience("a")],
            issued_at: Timestamp::constant(1_800_000_000, 999_999_999),
            ttl_secs: 300,
            id: Uuid::from_u128(1),
            actor: Actor::new(&subject, "https://cluster"),
            scope_claims: &scope_claims(vec![]),
        };
        assert_eq!(
            one.to_json().unwrap(),
            concat!(
                r#"{"iss":"https://jwtlet","sub":"tenant","jwtlet_pc":"tenant","aud":"a","iat":1800000000,"#,
                r#""nbf":1800000000,"exp":1800000300,"jti":"00000000-0000-0000-0000-000000000001","#,
                r#""act":{"sub":"sa","iss":"https://cluster","k8s_uid":"u-1"}}"#
            )
        );
        let scope_claims = scope_claims(vec![json!({"role": "a \"b\"", "n": {}}), json!({"x": {}})]);
        let more = Claims {
            audiences: &[audience("b"), audience("a")],
            scope_claims: &scope_claims,
            actor: Actor::new(&subject, "https://cluster"),
            ..one
        };
        let json = more.to_json().unwrap();
        assert!(json.contains(r#""aud":["b","a"]"#), "{json}");
        assert!(json.ends_with(r#""k8s_uid":"u-1"},"n":{},"role":"a \"b\"","x":{}}"#), "{json}");
    }
}
