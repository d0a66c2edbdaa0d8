//! What an exchange reads from the store.

use std::sync::Arc;

use crate::{
    Scope,
    mapping::{ClaimRules, ResourceMapping, ScopeMapping},
    merge::ClaimConflict,
    scope_claims::{Remembered, ScopeClaims},
};

/// What exchanges of one client for one participant context read, all of one moment: without owners and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    mapping: ResourceMapping,
    scopes: Vec<Arc<ScopeMapping>>,
    /// The scopes of the mapping that have no scope mapping, sorted.
    unmapped: Vec<Scope>,
    remembered: Remembered,
}

impl Policy {
    /// A resource mapping with the scope mappings of its scopes, in any order, as far as there are any. Those of other
    /// scopes are left out.
    #[must_use]
    pub fn new(mapping: ResourceMapping, mut scopes: Vec<Arc<ScopeMapping>>) -> Self {
        let mut unmapped = mapping.scopes().to_vec();
        unmapped.sort_unstable();
        scopes.retain(|scope| unmapped.binary_search(scope.scope()).is_ok());
        scopes.sort_unstable_by(|a, b| a.scope().cmp(b.scope()));
        unmapped.retain(|scope| position(&scopes, scope).is_none());
        Self { mapping, scopes, unmapped, remembered: Remembered::default() }
    }

    /// The mapping of the client and the participant context, expired or not.
    #[must_use]
    pub fn mapping(&self) -> &ResourceMapping {
        &self.mapping
    }

    /// The scope mappings, sorted by scope.
    #[must_use]
    pub fn scopes(&self) -> &[Arc<ScopeMapping>] {
        &self.scopes
    }

    /// The mapping of a scope, if there is one.
    #[must_use]
    pub fn scope(&self, scope: &Scope) -> Option<&ScopeMapping> {
        Some(&self.scopes[position(&self.scopes, scope)?])
    }

    /// The mapping of each of these scopes, where there is one. It costs least when they are sorted, which most requests
    /// that name many are.
    pub fn each_scope<'p>(&'p self, scopes: &[Scope]) -> impl Iterator<Item = Option<&'p ScopeMapping>> {
        let mut next = 0;
        scopes.iter().map(move |scope| {
            let is_next = self.scopes.get(next).is_some_and(|mapping| mapping.scope() == scope);
            let position = if is_next { next } else { position(&self.scopes, scope)? };
            next = position + 1;
            Some(&*self.scopes[position])
        })
    }

    /// Whether each of these scopes is granted and has a mapping.
    #[must_use]
    pub fn has_all(&self, scopes: &[Scope]) -> bool {
        self.remembered.scopes(scopes).is_some() || self.each_scope(scopes).all(|mapping| mapping.is_some())
    }

    /// These scopes, if the resource mapping has all of them.
    ///
    /// # Errors
    /// Those that it does not have.
    pub fn grant(&self, scopes: &[Scope]) -> Result<Arc<[Scope]>, Vec<Scope>> {
        if let Some(granted) = self.remembered.scopes(scopes) {
            return Ok(granted);
        }
        let outside = self.not_granted(scopes);
        if outside.is_empty() { Ok(scopes.into()) } else { Err(outside) }
    }

    /// The claims that scopes add which [`Policy::grant`] has granted.
    ///
    /// # Errors
    /// Scopes that contradict each other.
    pub fn scope_claims(
        &self,
        granted: &Arc<[Scope]>,
        rules: &Arc<ClaimRules>,
    ) -> Result<Arc<ScopeClaims>, ClaimConflict> {
        if let Some(claims) = self.remembered.claims(granted, rules) {
            return Ok(claims);
        }
        let mappings: Vec<_> = self.each_scope(granted).flatten().collect();
        let is_complete = mappings.len() == granted.len();
        let claims = Arc::new(ScopeClaims::new(Arc::clone(granted), mappings, rules)?);
        // That a scope has no mapping is never remembered.
        if is_complete {
            self.remembered.set(Arc::clone(&claims));
        }
        Ok(claims)
    }

    fn not_granted(&self, scopes: &[Scope]) -> Vec<Scope> {
        let unknown = scopes.iter().zip(self.each_scope(scopes)).filter(|(_, mapping)| mapping.is_none());
        unknown
            .map(|(scope, _)| scope)
            .filter(|scope| self.unmapped.binary_search(scope).is_err())
            .cloned()
            .collect()
    }
}

fn position(sorted: &[Arc<ScopeMapping>], scope: &Scope) -> Option<usize> {
    sorted.binary_search_by(|mapping| mapping.scope().cmp(scope)).ok()
}
