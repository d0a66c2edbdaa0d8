//! Merging the claims of several granted scopes into one set.
//!
//! Downstream services read one value per claim. Where two scopes define a claim in ways that cannot both hold, nothing
//! is issued: picking one would grant or withhold silently.

use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::Value;

use crate::{
    Scope,
    mapping::{ClaimRules, ScopeMapping},
};

/// Two scopes define a claim differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scopes {first} and {second} define the claim {claim} differently; request them one at a time")]
pub struct ClaimConflict {
    /// The claim.
    pub claim: String,
    /// The scope whose value came first.
    pub first: Scope,
    /// The scope whose value does not fit.
    pub second: Scope,
}

/// The merged claims, borrowed from the scope mappings until they are written.
#[derive(Debug, Default)]
pub struct MergedClaims<'a>(Vec<Entry<'a>>);

#[derive(Debug)]
struct Entry<'a> {
    claim: &'a str,
    first: &'a Scope,
    value: Merged<'a>,
}

#[derive(Debug)]
enum Merged<'a> {
    /// One value, exactly as it was written.
    Single(&'a Value),
    /// The union of space-delimited words.
    Words(Vec<&'a str>),
    /// The union of arrays.
    Items(Vec<&'a Value>),
}

impl<'a> MergedClaims<'a> {
    /// Merges the claims of these scope mappings in their order, leaving reserved claims out.
    ///
    /// Equal values count once; texts of a space-delimited claim are united word by word and arrays item by item, in
    /// the order of first occurrence.
    ///
    /// # Errors
    /// Any other pair of different values.
    pub fn merge(
        mappings: impl IntoIterator<Item = &'a ScopeMapping>,
        rules: &ClaimRules,
    ) -> Result<Self, ClaimConflict> {
        let mut merged = Self::default();
        for mapping in mappings {
            for (claim, value) in mapping.claims() {
                if !rules.is_reserved(claim) {
                    merged.add(mapping.scope(), claim, value, rules)?;
                }
            }
        }
        Ok(merged)
    }

    fn add(
        &mut self,
        scope: &'a Scope,
        claim: &'a str,
        value: &'a Value,
        rules: &ClaimRules,
    ) -> Result<(), ClaimConflict> {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.claim == claim) else {
            self.0.push(Entry { claim, first: scope, value: Merged::Single(value) });
            return Ok(());
        };
        if entry.value.unite(value, rules.is_space_delimited(claim)) {
            Ok(())
        } else {
            Err(ClaimConflict { claim: claim.to_owned(), first: entry.first.clone(), second: scope.clone() })
        }
    }

    /// The claims by name, in the order of first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, impl Serialize)> {
        self.0.iter().map(|entry| (entry.claim, &entry.value))
    }
}

impl<'a> Merged<'a> {
    /// Adds a value; false when it contradicts what is there.
    fn unite(&mut self, value: &'a Value, space_delimited: bool) -> bool {
        if let Self::Single(present) = *self {
            if present == value {
                return true;
            }
            match present {
                Value::String(words) if space_delimited => {
                    *self = Self::Words(Vec::new());
                    self.add_words(words);
                }
                Value::Array(items) => {
                    *self = Self::Items(Vec::new());
                    self.add_items(items);
                }
                _ => return false,
            }
        }
        match value {
            Value::String(words) => self.add_words(words),
            Value::Array(items) => self.add_items(items),
            _ => false,
        }
    }

    fn add_words(&mut self, text: &'a str) -> bool {
        let Self::Words(words) = self else { return false };
        for word in text.split_ascii_whitespace() {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        true
    }

    fn add_items(&mut self, more: &'a [Value]) -> bool {
        let Self::Items(items) = self else { return false };
        for item in more {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        true
    }
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Single(value) => value.serialize(serializer),
            Self::Words(words) => words.join(" ").serialize(serializer),
            Self::Items(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn rules() -> ClaimRules {
        ClaimRules::new("pc".into(), ["scope".to_owned()].into()).unwrap()
    }

    fn mappings(claims: &[Value]) -> Vec<ScopeMapping> {
        // Written under rules that reserve less, as a database from elsewhere might hold it.
        let lax = ClaimRules::new("other".into(), [].into()).unwrap();
        let scope = |i: usize| Scope::parse(&format!("s{i}")).unwrap();
        let claims = claims.iter().map(|claims| claims.as_object().unwrap().clone());
        claims.enumerate().map(|(i, claims)| ScopeMapping::new(scope(i), claims, &lax).unwrap()).collect()
    }

    fn merge(claims: &[Value]) -> Result<Value, String> {
        let mappings = mappings(claims);
        let merged = MergedClaims::merge(&mappings, &rules()).map_err(|conflict| conflict.to_string())?;
        Ok(merged
            .iter()
            .map(|(name, value)| (name.to_owned(), serde_json::to_value(value).unwrap()))
            .collect())
    }

    #[test]
    fn equal_values_count_once() {
        let value = json!({"role": "admin", "n": 1, "deep": {"a": [1]}, "scope": "b  a b"});
        assert_eq!(merge(&[value.clone(), value.clone()]), Ok(value));
    }

    #[test]
    fn words_of_a_space_delimited_claim_are_united_in_order() {
        let claims = [json!({"scope": "b a"}), json!({"scope": "c"}), json!({"scope": "a d"})];
        assert_eq!(merge(&claims), Ok(json!({"scope": "b a c d"})));
    }

    #[test]
    fn arrays_are_united_in_order() {
        let claims = [
            json!({"roles": ["b", 1]}),
            json!({"roles": ["a", "b", {"x": 1}]}),
            json!({"roles": [{"x": 1}]}),
        ];
        assert_eq!(merge(&claims), Ok(json!({"roles": ["b", 1, "a", {"x": 1}]})));
    }

    #[test]
    fn anything_else_is_a_conflict_that_names_claim_and_scopes() {
        for (first, second) in [
            (json!("a"), json!("b")),
            (json!(1), json!(2)),
            (json!("1"), json!(1)),
            (json!(["a"]), json!("a")),
            (json!({"a": 1}), json!({"b": 1})),
            (json!(null), json!(false)),
        ] {
            let outcome = merge(&[json!({"x": 1}), json!({"role": first}), json!({"role": second})]);
            let message =
                "the scopes s1 and s2 define the claim role differently; request them one at a time";
            assert_eq!(outcome, Err(message.to_owned()));
        }
        assert!(merge(&[json!({"scope": "a"}), json!({"scope": "b"}), json!({"scope": ["a"]})]).is_err());
        assert!(merge(&[json!({"scope": ["a"]}), json!({"scope": ["b"]}), json!({"scope": "a"})]).is_err());
    }

    #[test]
    fn reserved_claims_are_never_issued_even_when_stored() {
        assert_eq!(merge(&[json!({"pc": "other tenant", "role": "r"})]), Ok(json!({"role": "r"})));
    }

    fn claim_sets() -> impl Strategy<Value = Vec<BTreeMap<String, Value>>> {
        let word = || prop::sample::select(vec!["a", "b", "c"]);
        let value = prop_oneof![
            vec(word(), 0..4).prop_map(|words| json!(words.join(" "))),
            vec(word(), 0..4).prop_map(|items| json!(items)),
            (0..3).prop_map(|n| json!(n)),
        ];
        let name = prop::sample::select(vec!["scope", "role"]).prop_map(str::to_owned);
        vec(prop::collection::btree_map(name, value, 0..3), 0..5)
    }

    fn words(value: &Value) -> HashSet<String> {
        value.as_str().unwrap().split_ascii_whitespace().map(str::to_owned).collect()
    }

    proptest! {
        #[test]
        fn a_merge_has_every_word_of_its_parts_and_no_other(sets in vec("[a-d ]{0,8}", 1..6)) {
            let parts: Vec<Value> = sets.iter().map(|text| json!({"scope": text})).collect();
            let merged = merge(&parts).unwrap();
            let expected: HashSet<String> = parts.iter().flat_map(|part| words(&part["scope"])).collect();
            prop_assert_eq!(words(&merged["scope"]), expected);
        }

        #[test]
        fn merging_a_list_twice_changes_nothing(sets in claim_sets()) {
            let parts: Vec<Value> = sets.iter().map(|set| json!(set)).collect();
            let once = merge(&parts);
            let twice = merge(&[parts.clone(), parts].concat());
            prop_assert_eq!(once.is_ok(), twice.is_ok());
            if let (Ok(once), Ok(twice)) = (once, twice) {
                prop_assert_eq!(once, twice);
            }
        }

        #[test]
        fn whether_scopes_conflict_does_not_depend_on_their_order(sets in claim_sets()) {
            let mut parts: Vec<Value> = sets.iter().map(|set| json!(set)).collect();
            let forward = merge(&parts).is_ok();
            parts.reverse();
            prop_assert_eq!(forward, merge(&parts).is_ok());
        }
    }
}
