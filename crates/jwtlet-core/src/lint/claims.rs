//! Which scopes define a claim in ways that cannot both hold.
//!
//! The values of one claim fall into classes: all arrays unite, all texts of a space-delimited claim unite, and any
//! other value agrees with its equals only. Two scopes conflict exactly when they define a claim in different classes,
//! so a scope set is checked without comparing every pair of its scopes.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::{Finding, Holding, Interner, Kind, Lint, finding::Smallest, mappings};
use crate::{
    Scope,
    mapping::{ClaimRules, ScopeMapping},
};

/// The values of a claim that agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Words,
    Array,
    /// By the hash of the value: values may be large.
    Value([u8; 32]),
}

impl Class {
    fn of(value: &Value, space_delimited: bool) -> Self {
        match value {
            Value::String(_) if space_delimited => Self::Words,
            Value::Array(_) => Self::Array,
            value => {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest(&SHA256, value.to_string().as_bytes()).as_ref());
                Self::Value(hash)
            }
        }
    }
}

/// What each scope mapping defines.
#[derive(Debug)]
pub(super) struct ClaimTable {
    names: Interner<String>,
    /// By the number of the scope.
    definitions: HashMap<u32, Vec<(u32, Class)>>,
}

impl Default for ClaimTable {
    fn default() -> Self {
        Self { names: Interner::new(), definitions: HashMap::new() }
    }
}

impl ClaimTable {
    pub(super) fn define(&mut self, scope: u32, mapping: &ScopeMapping, rules: &ClaimRules) {
        let claims = mapping.claims().iter().filter(|(claim, _)| !rules.is_reserved(claim));
        let definition = claims.map(|(claim, value)| {
            (self.names.number(claim), Class::of(value, rules.is_space_delimited(claim)))
        });
        let definition = definition.collect();
        self.definitions.insert(scope, definition);
    }

    pub(super) fn is_defined(&self, scope: u32) -> bool {
        self.definitions.contains_key(&scope)
    }

    pub(super) fn defined(&self) -> impl Iterator<Item = u32> {
        self.definitions.keys().copied()
    }

    /// The pairs of a scope set that conflict, at most so many, each with the claim.
    fn conflicts(&self, scopes: &[u32], limit: usize) -> Vec<(u32, u32, u32)> {
        let mut by_claim: BTreeMap<u32, BTreeMap<Class, Vec<u32>>> = BTreeMap::new();
        for scope in scopes {
            for (claim, class) in self.definitions.get(scope).into_iter().flatten() {
                by_claim.entry(*claim).or_default().entry(*class).or_default().push(*scope);
            }
        }
        let mut pairs = Vec::new();
        for (claim, classes) in &by_claim {
            let mut earlier: Vec<u32> = Vec::new();
            for class in classes.values() {
                for (a, b) in earlier.iter().flat_map(|a| class.iter().map(move |b| (*a, *b))) {
                    if pairs.len() == limit {
                        return pairs;
                    }
                    pairs.push((*claim, a, b));
                }
                earlier.extend(class);
            }
        }
        pairs
    }
}

impl Lint {
    /// Scopes of one mapping that can never be requested together, and whether there are more of them.
    pub(super) fn conflicts(&self) -> (impl Iterator<Item = Finding>, bool) {
        let mut found: Smallest<(&String, &Scope, &Scope), (Holding, usize)> = Smallest::new(self.limit);
        if self.claims.names.is_empty() {
            return (self.describe(found.entries), false);
        }
        for holders in &self.holders {
            let conflicts = self.claims.conflicts(&holders.scopes, self.limit.saturating_add(1));
            found.truncated |= conflicts.len() > self.limit;
            for (claim, a, b) in conflicts {
                let (a, b) = (self.scopes.value(a), self.scopes.value(b));
                let key = (self.claims.names.value(claim), a.min(b), a.max(b));
                found.add(key, (holders.first, holders.count), |present, more| present.1 += more.1);
            }
        }
        (self.describe(found.entries), found.truncated)
    }

    fn describe(
        &self,
        conflicts: BTreeMap<(&String, &Scope, &Scope), (Holding, usize)>,
    ) -> impl Iterator<Item = Finding> {
        conflicts.into_iter().map(|((claim, scope, other), (first, count))| {
            let key = self.key(first);
            let message = format!(
                "the scopes {scope} and {other} define the claim {claim} differently, so they can never be requested \
                 together; granted by {}",
                mappings(count, &key)
            );
            Finding {
                scope: Some(scope.clone()),
                other_scope: Some(other.clone()),
                claim: Some(claim.clone()),
                mappings: Some(count),
                ..Finding::new(Kind::ConflictingScopes, message).of_mapping(&key)
            }
        })
    }
}
