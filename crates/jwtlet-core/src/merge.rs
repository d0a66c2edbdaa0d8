//! Merging the claims of several granted scopes into one set.
//!
//! Downstream services read one value per claim. Where two scopes define a claim in ways that cannot both hold, nothing
//! is issued: picking one would grant or withhold silently.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    Scope,
    mapping::{ClaimRules, ScopeMapping},
};

/// Fewer items than this are told apart without a set, which costs more than it saves.
const FEW: usize = 8;

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
pub struct MergedClaims<'a> {
    /// In the order of first occurrence.
    entries: Vec<Entry<'a>>,
    /// How many of them came before the mapping that is added. No mapping names a claim twice, so it is not compared with
    /// itself.
    before: usize,
    /// Where they stand; empty while they are few. A thousand scopes may bring a thousand claims each.
    positions: HashMap<&'a str, usize>,
}

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
    /// The words of a space-delimited claim.
    Words(Union<&'a str>),
    /// The union of arrays that differ.
    Items(Union<&'a Value>),
}

/// Items in the order of their first occurrence, each once.
#[derive(Debug)]
struct Union<T> {
    items: Vec<T>,
    /// The same items; empty while they are few.
    seen: HashSet<T>,
}

impl<T: Copy + Eq + Hash> Union<T> {
    fn of(items: impl Iterator<Item = T>) -> Self {
        let mut union = Self { items: Vec::new(), seen: HashSet::new() };
        union.add(items);
        union
    }

    fn add(&mut self, items: impl Iterator<Item = T>) {
        for item in items {
            let is_new = if self.items.len() < FEW {
                !self.items.contains(&item)
            } else {
                if self.seen.is_empty() {
                    self.seen.extend(&self.items);
                }
                self.seen.insert(item)
            };
            if is_new {
                self.items.push(item);
            }
        }
    }
}

impl<'a> MergedClaims<'a> {
    /// Merges the claims of these scope mappings in their order, leaving reserved claims out.
    ///
    /// Equal values count once; texts of a space-delimited claim are united word by word and arrays item by item, in
    /// the order of first occurrence. A space-delimited claim has each word once, with one space between two, also when
    /// a single scope defines it.
    ///
    /// # Errors
    /// Any other pair of different values.
    pub fn merge(
        mappings: impl IntoIterator<Item = &'a ScopeMapping>,
        rules: &ClaimRules,
    ) -> Result<Self, ClaimConflict> {
        let mut merged = Self::default();
        for mapping in mappings {
            merged.index();
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
        let known = if self.positions.is_empty() {
            self.entries.iter().take(self.before).position(|entry| entry.claim == claim)
        } else {
            self.positions.get(claim).copied()
        };
        let Some(entry) = known.and_then(|position| self.entries.get_mut(position)) else {
            let value = Merged::new(value, rules.is_space_delimited(claim));
            self.entries.push(Entry { claim, first: scope, value });
            return Ok(());
        };
        if entry.value.unite(value) {
            Ok(())
        } else {
            Err(ClaimConflict { claim: claim.to_owned(), first: entry.first.clone(), second: scope.clone() })
        }
    }

    /// Makes all claims known that came so far.
    fn index(&mut self) {
        self.before = self.entries.len();
        if self.before < FEW {
            return;
        }
        let fresh = self.entries.iter().enumerate().skip(self.positions.len());
        self.positions.extend(fresh.map(|(position, entry)| (entry.claim, position)));
    }

    /// The claims by name, in the order of first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, impl Serialize)> {
        self.entries.iter().map(|entry| (entry.claim, &entry.value))
    }
}

impl Serialize for MergedClaims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'a> Merged<'a> {
    fn new(value: &'a Value, space_delimited: bool) -> Self {
        match value {
            Value::String(words) if space_delimited => Self::Words(Union::of(words.split_ascii_whitespace())),
            _ => Self::Single(value),
        }
    }

    /// Adds a value; false when it contradicts what is there.
    fn unite(&mut self, value: &'a Value) -> bool {
        match (&mut *self, value) {
            (Self::Single(present), _) if *present == value => {}
            (Self::Single(Value::Array(present)), Value::Array(items)) => {
                *self = Self::Items(Union::of(present.iter().chain(items)));
            }
            (Self::Words(words), Value::String(more)) => words.add(more.split_ascii_whitespace()),
            (Self::Items(items), Value::Array(more)) => items.add(more.iter()),
            _ => return false,
        }
        true
    }
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Single(value) => value.serialize(serializer),
            Self::Words(words) => words.items.join(" ").serialize(serializer),
            Self::Items(items) => items.items.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        let value = json!({"role": "admin", "n": 1, "deep": {"a": [1, 1]}, "scope": "b a"});
        assert_eq!(merge(&[value.clone(), value.clone()]), Ok(value));
    }

    #[test]
    fn words_of_a_space_delimited_claim_are_united_in_order() {
        let claims = [json!({"scope": "b a"}), json!({"scope": "c"}), json!({"scope": "a d"})];
        assert_eq!(merge(&claims), Ok(json!({"scope": "b a c d"})));
    }

    #[test]
    fn a_space_delimited_claim_has_each_word_once_also_alone() {
        assert_eq!(
            merge(&[json!({"scope": " b  a b ", "role": "b  b"})]),
            Ok(json!({"scope": "b a", "role": "b  b"}))
        );
    }

    #[test]
    fn a_hundred_large_claims_are_united() {
        let words_of = |i: usize| (0..1000).map(|j| format!("w{i}-{j}")).collect::<Vec<_>>().join(" ");
        let parts: Vec<Value> = (0..100).map(|i| json!({"scope": words_of(i)})).collect();
        assert_eq!(words(&merge(&parts).unwrap()["scope"]).len(), 100_000);
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
