//! Policy that is remembered, so that a warm exchange needs no database.
//!
//! Three rules keep it from granting what no longer is: an entry is used only while the database's feed of changes is
//! known to be alive, it is forgotten when the feed names it, and what was read before a change is not remembered after
//! it. Absence is never remembered: that there is no mapping, or no scope mapping of a requested scope, is always asked for
//! again, so that what is created counts with the next request on every replica.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jwtlet_core::{
    Scope,
    mapping::{MappingKey, ResourceMapping, ScopeMapping},
    store::Policy,
};
use jwtlet_upstream::Counter;
use moka::sync::Cache;

use crate::state::PolicyCacheUse;

/// How many changes were learnt of. What was read before one of them is not remembered after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Remembered policies, at most so many bytes of them.
#[derive(Debug)]
pub(crate) struct PolicyCache {
    max_bytes: u64,
    entries: Cache<MappingKey, Arc<Policy>>,
    generation: Mutex<Generation>,
    started: Instant,
    /// Milliseconds after `started` until which entries are trusted.
    trusted_until: AtomicU64,
    hits: Counter,
    misses: Counter,
}

impl PolicyCache {
    /// An empty one that is not trusted yet; 0 bytes remember nothing.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key, policy: &Arc<Policy>| u32::try_from(weight(key, policy)).unwrap_or(u32::MAX))
            .build();
        Self {
            max_bytes,
            entries,
            generation: Mutex::default(),
            started: Instant::now(),
            trusted_until: AtomicU64::new(0),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }

    /// The remembered policy, if it may be used now and has all requested scopes that it grants.
    pub(crate) fn get(&self, key: &MappingKey, requested: &[Scope], now: Instant) -> Option<Arc<Policy>> {
        let found = self.find(key, requested, now);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.increment();
        found
    }

    /// The same for one who was counted already.
    pub(crate) fn find(&self, key: &MappingKey, requested: &[Scope], now: Instant) -> Option<Arc<Policy>> {
        if !self.is_trusted(now) {
            return None;
        }
        let policy = self.entries.get(key)?;
        policy.has_all(requested).then_some(policy)
    }

    /// Whether a read at this time is likely to be remembered: nothing is yet for this key. What is there and was of no use
    /// lacks a scope mapping, and will the next time.
    pub(crate) fn may_learn(&self, key: &MappingKey, now: Instant) -> bool {
        self.max_bytes > 0 && self.is_trusted(now) && !self.entries.contains_key(key)
    }

    /// Whether what is remembered may be used at this time.
    pub(crate) fn is_trusted(&self, now: Instant) -> bool {
        let age = u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        age < self.trusted_until.load(Ordering::Acquire)
    }

    /// What it was good for so far.
    pub(crate) fn usage(&self) -> PolicyCacheUse {
        PolicyCacheUse {
            hits: self.hits.get(),
            misses: self.misses.get(),
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
        }
    }

    /// What to pass to [`PolicyCache::insert`] for what is read from now on.
    pub(crate) fn generation(&self) -> Generation {
        *self.lock()
    }

    /// Remembers what was read, unless a change was learnt of since.
    pub(crate) fn insert(&self, read_at: Generation, key: MappingKey, policy: Arc<Policy>) {
        let generation = self.lock();
        if *generation == read_at {
            self.entries.insert(key, policy);
        }
    }

    /// Forgets what was remembered for these keys.
    pub(crate) fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a MappingKey>) {
        let mut generation = self.lock();
        generation.0 += 1;
        for key in keys {
            self.entries.invalidate(key);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut generation = self.lock();
        generation.0 += 1;
        self.entries.invalidate_all();
    }

    /// Entries are trusted until then. Every change that was made before `until` less the time that a feed may lag has to
    /// be known.
    pub(crate) fn trust_until(&self, until: Instant) {
        let age =
            u64::try_from(until.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        self.trusted_until.store(age, Ordering::Release);
    }

    /// Entries are trusted without end: all changes come through this process.
    pub(crate) fn trust_always(&self) {
        self.trusted_until.store(u64::MAX, Ordering::Release);
    }

    /// Entries are not trusted, until [`PolicyCache::trust_until`] says otherwise; they are forgotten too, because changes
    /// may pass unseen from now on.
    pub(crate) fn distrust(&self) {
        self.trusted_until.store(0, Ordering::Release);
        self.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Generation> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many bytes an entry takes, roughly. Scope mappings that several entries share are counted in each, and so is what
/// the policy remembers of them, as if all of their claims had been asked for: so the true figure is below.
fn weight(key: &MappingKey, policy: &Policy) -> usize {
    const ENTRY: usize = 512;
    let names = key.client_identifier.as_str().len() + key.participant_context.as_str().len();
    let scopes: usize = policy.scopes().iter().map(|scope| scope_weight(scope)).sum();
    ENTRY + 2 * names + mapping_weight(policy.mapping()) + scopes
}

fn mapping_weight(mapping: &ResourceMapping) -> usize {
    const STRING: usize = 40;
    // Once as granted and once as asked for.
    let scopes: usize = mapping.scopes().iter().map(|scope| 2 * (STRING + scope.as_str().len())).sum();
    let audiences: usize = mapping.audiences().iter().map(|audience| STRING + audience.as_str().len()).sum();
    scopes + audiences + mapping.description().map_or(0, str::len)
}

fn scope_weight(mapping: &ScopeMapping) -> usize {
    const RECORD: usize = 128;
    const CLAIM: usize = 96;
    let claims: usize =
        mapping.claims().iter().map(|(claim, value)| CLAIM + 2 * claim.len() + value_weight(value)).sum();
    let written = serde_json::to_string(mapping.claims()).map_or(0, |json| json.len());
    RECORD + mapping.scope().as_str().len() + claims + written
}

fn value_weight(value: &serde_json::Value) -> usize {
    const VALUE: usize = 72;
    VALUE
        + match value {
            serde_json::Value::String(text) => text.len(),
            serde_json::Value::Array(items) => items.iter().map(value_weight).sum(),
            serde_json::Value::Object(members) => {
                members.iter().map(|(name, value)| VALUE + name.len() + value_weight(value)).sum()
            }
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jwtlet_core::{Audience, ClientIdentifier, ParticipantContext};
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> MappingKey {
        MappingKey {
            client_identifier: ClientIdentifier::parse(name).unwrap(),
            participant_context: ParticipantContext::parse("t").unwrap(),
        }
    }

    fn policy(name: &str) -> Arc<Policy> {
        let scope = Scope::parse("read").unwrap();
        let claims = json!({"r": [name, {"x": "y".repeat(1_000)}]}).as_object().unwrap().clone();
        let audience = Audience::parse("aud").unwrap();
        let mapping = ResourceMapping::new(key(name), vec![scope.clone()], vec![audience]).unwrap();
        Arc::new(Policy::new(mapping, vec![Arc::new(ScopeMapping::restore(scope, claims))]))
    }

    fn trusted() -> PolicyCache {
        let cache = PolicyCache::new(1 << 20);
        cache.trust_always();
        cache
    }

    fn has(cache: &PolicyCache, name: &str) -> bool {
        cache.get(&key(name), &[], Instant::now()).is_some()
    }

    #[test]
    fn an_entry_is_used_for_scopes_that_it_has_mappings_of() {
        let cache = trusted();
        cache.insert(cache.generation(), key("a"), policy("a"));
        let read = Scope::parse("read").unwrap();
        let write = Scope::parse("write").unwrap();
        assert_eq!(cache.get(&key("a"), std::slice::from_ref(&read), Instant::now()), Some(policy("a")));
        assert_eq!(cache.get(&key("a"), &[read, write], Instant::now()), None);
        assert_eq!(cache.get(&key("b"), &[], Instant::now()), None);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let cache = trusted();
        let read_at = cache.generation();
        cache.forget([&key("b")]);
        cache.insert(read_at, key("a"), policy("a"));
        assert!(!has(&cache, "a"));
        let read_at = cache.generation();
        cache.clear();
        cache.insert(read_at, key("a"), policy("a"));
        assert!(!has(&cache, "a"));
        cache.insert(cache.generation(), key("a"), policy("a"));
        assert!(has(&cache, "a"));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let cache = trusted();
        for name in ["a", "b", "c"] {
            cache.insert(cache.generation(), key(name), policy(name));
        }
        cache.forget([&key("a"), &key("b")]);
        assert_eq!(["a", "b", "c"].map(|name| has(&cache, name)), [false, false, true]);
        cache.clear();
        assert!(!has(&cache, "c"));
    }

    #[test]
    fn entries_are_used_only_while_they_are_trusted() {
        let cache = PolicyCache::new(1 << 20);
        cache.insert(cache.generation(), key("a"), policy("a"));
        assert!(!has(&cache, "a"));
        let until = Instant::now() + Duration::from_mins(1);
        cache.trust_until(until);
        assert!(has(&cache, "a"));
        assert!(cache.get(&key("a"), &[], until).is_none());
        cache.distrust();
        assert!(!has(&cache, "a"));
        cache.trust_until(until);
        assert!(!has(&cache, "a"), "changes may have passed unseen");
    }

    #[test]
    fn memory_is_bounded() {
        const BYTES: u64 = 100_000;
        let cache = PolicyCache::new(BYTES);
        for n in 0..1_000 {
            let name = n.to_string();
            cache.insert(cache.generation(), key(&name), policy(&name));
        }
        cache.entries.run_pending_tasks();
        assert!(cache.entries.weighted_size() <= BYTES);
        assert!(cache.entries.entry_count() > 10);
        assert!(weight(&key("a"), &policy("a")) > 1_000);

        let nothing = PolicyCache::new(0);
        nothing.trust_always();
        nothing.insert(nothing.generation(), key("a"), policy("a"));
        nothing.entries.run_pending_tasks();
        assert!(!has(&nothing, "a"));
    }
}
