//! The claims that granted scopes add to a token, made once and remembered with the policy that they come from.
//!
//! A client asks for the same scopes again and again, and to unite and write the claims of many scopes costs more than
//! all else of an exchange. They depend on nothing but the scope mappings of a [`Policy`](crate::store::Policy), which
//! never change, the requested scopes and the claim rules. So what is remembered belongs to one policy, ends with it, and
//! is used for exactly the scopes and rules that it was made for.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    Scope,
    mapping::{ClaimRules, ScopeMapping},
    merge::{ClaimConflict, MergedClaims},
};

/// The claims of scopes that were granted together.
#[derive(Debug)]
pub struct ScopeClaims {
    scopes: Arc<[Scope]>,
    rules: Arc<ClaimRules>,
    names: Vec<String>,
    members: Result<String, serde_json::Error>,
}

impl ScopeClaims {
    /// Unites and writes the claims of these scopes, whose mappings these are.
    ///
    /// # Errors
    /// Scopes that contradict each other.
    pub(crate) fn new<'a>(
        scopes: Arc<[Scope]>,
        mappings: impl IntoIterator<Item = &'a ScopeMapping>,
        rules: &Arc<ClaimRules>,
    ) -> Result<Self, ClaimConflict> {
        let merged = MergedClaims::merge(mappings, rules)?;
        let names = merged.iter().map(|(name, _)| name.to_owned()).collect();
        let members = serde_json::to_string(&merged).map(|mut object| {
            object.pop();
            object.remove(0);
            object.shrink_to_fit();
            object
        });
        Ok(Self { scopes, rules: Arc::clone(rules), names, members })
    }

    /// The names of the claims, in the order in which they are written.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The members of a JSON object, without its braces. Empty where there is no claim.
    ///
    /// # Errors
    /// None in practice: claims are JSON already.
    pub fn members(&self) -> Result<&str, &serde_json::Error> {
        self.members.as_deref()
    }
}

/// The claims that a policy was asked for last.
#[derive(Debug, Default)]
pub(crate) struct Remembered(ArcSwapOption<ScopeClaims>);

impl Remembered {
    /// These scopes, if they are those of the remembered claims.
    pub(crate) fn scopes(&self, scopes: &[Scope]) -> Option<Arc<[Scope]>> {
        let claims = self.0.load();
        claims.as_ref().filter(|claims| *claims.scopes == *scopes).map(|claims| Arc::clone(&claims.scopes))
    }

    /// The remembered claims, if they are of these very scopes and rules.
    pub(crate) fn claims(&self, scopes: &Arc<[Scope]>, rules: &Arc<ClaimRules>) -> Option<Arc<ScopeClaims>> {
        let claims = self.0.load_full()?;
        (Arc::ptr_eq(&claims.scopes, scopes) && Arc::ptr_eq(&claims.rules, rules)).then_some(claims)
    }

    /// Remembers claims instead of those before.
    pub(crate) fn set(&self, claims: Arc<ScopeClaims>) {
        self.0.store(Some(claims));
    }
}

/// A copy of a policy has yet to be asked.
impl Clone for Remembered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What was asked of a policy makes it no other one.
impl PartialEq for Remembered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        ClientIdentifier, ParticipantContext,
        mapping::{MappingKey, ResourceMapping},
        store::Policy,
    };

    fn scopes(names: &str) -> Vec<Scope> {
        names.split_whitespace().map(|name| Scope::parse(name).unwrap()).collect()
    }

    /// `a` and `b` have a mapping, `bare` has none.
    fn policy() -> Policy {
        let key = MappingKey {
            client_identifier: ClientIdentifier::parse("client").unwrap(),
            participant_context: ParticipantContext::parse("tenant").unwrap(),
        };
        let mapped = ["a", "b"].map(|name| {
            let claims = json!({"roles": [name], "words": name}).as_object().unwrap().clone();
            Arc::new(ScopeMapping::restore(Scope::parse(name).unwrap(), claims))
        });
        Policy::new(ResourceMapping::new(key, scopes("a b bare"), vec![]).unwrap(), mapped.to_vec())
    }

    fn rules(space_delimited: &str) -> Arc<ClaimRules> {
        Arc::new(ClaimRules::new("pc".into(), [space_delimited.to_owned()].into()).unwrap())
    }

    #[test]
    fn what_is_remembered_is_used_for_its_scopes_in_their_order_and_its_rules_only() {
        let (policy, rules) = (policy(), rules("words"));
        let ask = |names| policy.scope_claims(&policy.grant(&scopes(names)).unwrap(), &rules).unwrap();
        let first = ask("a b");
        assert_eq!(first.members().unwrap(), r#""roles":["a","b"],"words":"a b""#);
        assert!(Arc::ptr_eq(&first, &ask("a b")));
        assert_eq!(ask("b a").members().unwrap(), r#""roles":["b","a"],"words":"b a""#);
        assert_eq!(ask("a").members().unwrap(), r#""roles":["a"],"words":"a""#);
        assert_eq!(ask("").members().unwrap(), "");
        let granted = policy.grant(&scopes("a b")).unwrap();
        ask("b");
        assert_eq!(
            policy.scope_claims(&granted, &rules).unwrap().members().unwrap(),
            first.members().unwrap()
        );
        let others = self::rules("roles");
        assert!(policy.scope_claims(&granted, &others).is_err());
    }

    #[test]
    fn a_scope_without_a_mapping_is_granted_and_not_remembered() {
        let (policy, rules) = (policy(), rules("words"));
        let granted = policy.grant(&scopes("a bare")).unwrap();
        assert_eq!(policy.scope_claims(&granted, &rules).unwrap().names(), ["roles", "words"]);
        assert!(!policy.has_all(&scopes("a bare")));
        assert_eq!(policy.grant(&scopes("a bare x y")).unwrap_err(), scopes("x y"));
    }
}
