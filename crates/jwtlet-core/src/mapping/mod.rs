//! The two kinds of policy records.
//!
//! A constructed mapping keeps every rule of its kind, so a store can hold it and a decision can trust it.

mod claim_rules;

use std::{collections::HashSet, ops::Range};

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::claim_rules::{ClaimRules, RESERVED_CLAIMS, UnusableClaimName};
use crate::{Audience, ClientIdentifier, ParticipantContext, Scope, metadata::Metadata};

/// The most scopes of one resource mapping.
pub const MAX_SCOPES: usize = 1_000;
/// The most audiences of one resource mapping.
pub const MAX_AUDIENCES: usize = 100;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 1_024;
/// The most JSON that the claims of one scope mapping may take, in bytes.
pub const MAX_CLAIMS_BYTES: usize = 16 * 1024;

/// A rule that a mapping breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Too many scopes.
    #[error("scopes: must be at most {MAX_SCOPES}, not {0}")]
    TooManyScopes(usize),
    /// Too many audiences.
    #[error("audiences: must be at most {MAX_AUDIENCES}, not {0}")]
    TooManyAudiences(usize),
    /// A description that is too long.
    #[error("description: must be at most {MAX_DESCRIPTION_BYTES} bytes long, not {0}")]
    DescriptionTooLong(usize),
    /// A description that would not print.
    #[error("description: must not contain control characters other than line feed and tab")]
    DescriptionUnprintable,
    /// Claims that are too large.
    #[error("claims: must be at most {MAX_CLAIMS_BYTES} bytes of JSON, not {0}")]
    ClaimsTooLarge(usize),
    /// Claims that PostgreSQL cannot keep: its texts have no such character.
    #[error("claims: must not contain the character U+0000")]
    ZeroCharacter,
    /// A claim that only jwtlet itself may set.
    #[error("claims: must not define the reserved claim {0}")]
    ReservedClaim(String),
    /// A number that tokens could not repeat as it was written.
    #[error(
        "claims: the claim {0} must not hold a number beyond 64-bit integers; a string keeps all its digits"
    )]
    NumberOutOfRange(String),
}

/// What identifies a resource mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingKey {
    /// The client that may act.
    pub client_identifier: ClientIdentifier,
    /// The participant context that it may act for.
    pub participant_context: ParticipantContext,
}

/// A client may act for a participant context, with these scopes and towards these audiences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMapping {
    key: MappingKey,
    scopes: Vec<Scope>,
    audiences: Vec<Audience>,
    expires_at: Option<Timestamp>,
    description: Option<String>,
    metadata: Metadata,
}

impl ResourceMapping {
    /// A mapping without end and without description. Scopes and audiences are sets: one that repeats counts once.
    ///
    /// # Errors
    /// More than [`MAX_SCOPES`] scopes or [`MAX_AUDIENCES`] audiences.
    pub fn new(key: MappingKey, scopes: Vec<Scope>, audiences: Vec<Audience>) -> Result<Self, MappingError> {
        if scopes.len() > MAX_SCOPES {
            return Err(MappingError::TooManyScopes(scopes.len()));
        }
        if audiences.len() > MAX_AUDIENCES {
            return Err(MappingError::TooManyAudiences(audiences.len()));
        }
        Ok(Self {
            key,
            scopes: once(scopes),
            audiences: once(audiences),
            expires_at: None,
            description: None,
            metadata: Metadata::default(),
        })
    }

    /// A mapping that is in the store already, also one with more scopes or audiences than a new one may have. It has no
    /// owner and no labels yet.
    #[must_use]
    pub fn restore(
        key: MappingKey,
        scopes: Vec<Scope>,
        audiences: Vec<Audience>,
        expires_at: Option<Timestamp>,
        description: Option<String>,
    ) -> Self {
        let metadata = Metadata::default();
        Self { key, scopes: once(scopes), audiences: once(audiences), expires_at, description, metadata }
    }

    /// The same mapping with this owner and these labels.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same mapping, granting nothing from this time on.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: Option<Timestamp>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// The same mapping with a note for people.
    ///
    /// # Errors
    /// A note of more than [`MAX_DESCRIPTION_BYTES`] bytes, or with control characters in it.
    pub fn with_description(mut self, description: Option<String>) -> Result<Self, MappingError> {
        if let Some(text) = description.as_ref().filter(|text| text.len() > MAX_DESCRIPTION_BYTES) {
            return Err(MappingError::DescriptionTooLong(text.len()));
        }
        let unprintable = |c: char| c.is_control() && c != '\n' && c != '\t';
        if description.as_ref().is_some_and(|text| text.contains(unprintable)) {
            return Err(MappingError::DescriptionUnprintable);
        }
        self.description = description;
        Ok(self)
    }

    /// What identifies the mapping.
    #[must_use]
    pub fn key(&self) -> &MappingKey {
        &self.key
    }

    /// The scopes that may be requested, each once.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The audiences that may be requested, each once; none means the default audience only.
    #[must_use]
    pub fn audiences(&self) -> &[Audience] {
        &self.audiences
    }

    /// When the mapping stops granting anything.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// A note for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its owner and its labels; none where it was read for an exchange.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A granted scope adds these claims to the token.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeMapping {
    scope: Scope,
    claims: Map<String, Value>,
    metadata: Metadata,
}

impl ScopeMapping {
    /// A mapping that may be written.
    ///
    /// # Errors
    /// A reserved claim, a number beyond 64-bit integers at any depth, U+0000 in a name or text, or claims of more than
    /// [`MAX_CLAIMS_BYTES`] bytes of JSON.
    pub fn new(scope: Scope, claims: Map<String, Value>, rules: &ClaimRules) -> Result<Self, MappingError> {
        if let Some(claim) = claims.keys().find(|claim| rules.is_reserved(claim)) {
            return Err(MappingError::ReservedClaim(claim.clone()));
        }
        if let Some((claim, _)) = claims.iter().find(|(_, value)| has_number_out_of_range(value)) {
            return Err(MappingError::NumberOutOfRange(claim.clone()));
        }
        let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_CLAIMS_BYTES {
            return Err(MappingError::ClaimsTooLarge(bytes));
        }
        if members_have_zero(&claims) {
            return Err(MappingError::ZeroCharacter);
        }
        Ok(Self::restore(scope, claims))
    }

    /// A mapping that is in the store already, also one that breaks a rule for new ones: reserved claims are never
    /// issued, whatever is stored. It has no owner and no labels yet.
    #[must_use]
    pub fn restore(scope: Scope, claims: Map<String, Value>) -> Self {
        Self { scope, claims, metadata: Metadata::default() }
    }

    /// The same mapping with this owner and these labels.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The claims that it adds.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Its owner and its labels; none where it was read for an exchange.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Whether there is a number in it that was an integer of more than 64 bits, as far as can be told: those are read as
/// floating-point numbers, which keep 53 bits of them. A number that was written with an exponent looks the same.
fn has_number_out_of_range(value: &Value) -> bool {
    // Both are powers of two, hence exact. Integers of 64 bits are not read as floating-point numbers.
    const RANGE: Range<f64> = -9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().is_some_and(|number| number <= RANGE.start || number >= RANGE.end)
        }
        Value::Array(items) => items.iter().any(has_number_out_of_range),
        Value::Object(members) => members.values().any(has_number_out_of_range),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn has_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_zero),
        Value::Object(members) => members_have_zero(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn members_have_zero(members: &Map<String, Value>) -> bool {
    members.iter().any(|(name, value)| name.contains('\0') || has_zero(value))
}

fn once<T: Clone + Eq + std::hash::Hash>(mut list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(list.len());
    list.retain(|item| seen.insert(item.clone()));
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn key() -> MappingKey {
        MappingKey {
            client_identifier: ClientIdentifier::parse("system:serviceaccount:ns:sa").unwrap(),
            participant_context: ParticipantContext::parse("tenant").unwrap(),
        }
    }

    #[test]
    fn a_mapping_has_at_most_a_thousand_scopes_and_a_hundred_audiences() {
        let scopes = |n: usize| (0..n).map(|i| Scope::parse(&format!("s{i}")).unwrap()).collect::<Vec<_>>();
        let audiences =
            |n: usize| (0..n).map(|i| Audience::parse(&format!("a{i}")).unwrap()).collect::<Vec<_>>();
        assert!(ResourceMapping::new(key(), scopes(1000), audiences(100)).is_ok());
        assert_eq!(
            ResourceMapping::new(key(), scopes(1001), vec![]).unwrap_err().to_string(),
            "scopes: must be at most 1000, not 1001"
        );
        assert_eq!(
            ResourceMapping::new(key(), vec![], audiences(101)).unwrap_err().to_string(),
            "audiences: must be at most 100, not 101"
        );
    }

    #[test]
    fn scopes_that_repeat_count_once_in_the_order_of_their_first() {
        let scopes = ["b", "a", "b"].map(|text| Scope::parse(text).unwrap()).to_vec();
        let mapping = ResourceMapping::new(key(), scopes, vec![]).unwrap();
        assert_eq!(mapping.scopes().iter().map(Scope::as_str).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn reserved_claims_cannot_be_written() {
        let rules = ClaimRules::new("tenant_id".into(), BTreeSet::new()).unwrap();
        for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "cnf", "tenant_id"] {
            let claims = json!({claim: "x", "role": "r"}).as_object().unwrap().clone();
            let scope = Scope::parse("s").unwrap();
            assert_eq!(
                ScopeMapping::new(scope, claims, &rules),
                Err(MappingError::ReservedClaim(claim.into()))
            );
        }
        assert!(ClaimRules::new("sub".into(), BTreeSet::new()).is_err());
    }

    #[test]
    fn integers_of_more_than_64_bits_are_refused_at_any_depth() {
        let rules = ClaimRules::new("pc".into(), BTreeSet::new()).unwrap();
        let mapping = |number: &str| {
            let claims = format!(r#"{{"a": 1, "limit": {{"of": ["x", {number}]}}}}"#);
            ScopeMapping::new(Scope::parse("s").unwrap(), serde_json::from_str(&claims).unwrap(), &rules)
        };
        for good in ["18446744073709551615", "-9223372036854775808", "1.5e18", "-0.25", "9007199254740993"] {
            let text = serde_json::to_string(mapping(good).unwrap().claims()).unwrap();
            assert!(good.contains(['.', 'e']) || text.contains(good), "{text}");
        }
        for bad in ["18446744073709551616", "-9223372036854775809", "100000000000000000000001", "1e20"] {
            assert_eq!(mapping(bad), Err(MappingError::NumberOutOfRange("limit".into())), "{bad}");
        }
    }

    #[test]
    fn claims_have_no_zero_character() {
        let rules = ClaimRules::new("pc".into(), BTreeSet::new()).unwrap();
        let written = |claims: Value| {
            let claims = claims.as_object().unwrap().clone();
            ScopeMapping::new(Scope::parse("s").unwrap(), claims, &rules).map(drop)
        };
        for claims in
            [json!({"a": "b\0"}), json!({"a\0": 1}), json!({"a": [{"b\0": null}]}), json!({"a": ["\0"]})]
        {
            assert_eq!(written(claims), Err(MappingError::ZeroCharacter));
        }
        assert_eq!(written(json!({"a": "\\u0000"})), Ok(()));
    }

    #[test]
    fn claims_have_at_most_16_kib() {
        let rules = ClaimRules::new("pc".into(), BTreeSet::new()).unwrap();
        let mapping = |bytes: usize| {
            let claims = json!({"a": "x".repeat(bytes - 8)}).as_object().unwrap().clone();
            ScopeMapping::new(Scope::parse("s").unwrap(), claims, &rules)
        };
        assert!(mapping(MAX_CLAIMS_BYTES).is_ok());
        assert_eq!(mapping(MAX_CLAIMS_BYTES + 1), Err(MappingError::ClaimsTooLarge(MAX_CLAIMS_BYTES + 1)));
    }
}
