//! A review of the whole policy: what is written but has no effect, contradicts itself, or is about to end.
//!
//! The policy is fed record by record, so that it never has to be in memory at once. What is kept of a resource mapping
//! are three numbers: names and scope sets are interned, and a scope set is looked at once however many mappings have
//! it. A policy of a million mappings that share scope sets takes some hundred bytes a mapping.

mod claims;
mod finding;
mod overlap;

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

pub use self::finding::{Finding, Kind, Report, Severity};
use self::{claims::ClaimTable, finding::Smallest, overlap::Holding};
use crate::{
    ClientIdentifier, ParticipantContext, Scope,
    mapping::{ClaimRules, MappingKey, ResourceMapping, ScopeMapping},
};

/// How long before its end a mapping is reported as expiring.
pub const EXPIRING_WITHIN: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Numbers for values, in the order of their first appearance.
#[derive(Debug)]
struct Interner<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T: Clone + Eq + Hash> Interner<T> {
    fn new() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }

    fn number(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        // Four thousand million names would not fit in memory.
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.numbers.insert(value.clone(), number);
        self.values.push(value.clone());
        number
    }

    fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// The mappings that have the same scopes.
#[derive(Debug)]
struct Holders {
    scopes: Arc<[u32]>,
    /// The first of them, as it was fed.
    first: Holding,
    count: usize,
}

/// A review under way. Feed it every record, resource mappings in the order of their keys.
#[derive(Debug)]
pub struct Lint {
    rules: ClaimRules,
    now: Timestamp,
    limit: usize,
    scopes: Interner<Scope>,
    clients: Interner<ClientIdentifier>,
    contexts: Interner<ParticipantContext>,
    claims: ClaimTable,
    /// Whether any resource mapping has the scope, by the scope's number.
    is_used: Vec<bool>,
    sets: HashMap<Arc<[u32]>, u32>,
    holders: Vec<Holders>,
    holdings: Vec<Holding>,
    reserved: Smallest<(Scope, String), ()>,
    expiring: Smallest<MappingKey, Timestamp>,
    expired: Smallest<MappingKey, Timestamp>,
}

impl Lint {
    /// A review as of this time that reports so many findings at most.
    #[must_use]
    pub fn new(rules: ClaimRules, now: Timestamp, limit: usize) -> Self {
        Self {
            rules,
            now,
            limit,
            scopes: Interner::new(),
            clients: Interner::new(),
            contexts: Interner::new(),
            claims: ClaimTable::default(),
            is_used: Vec::new(),
            sets: HashMap::new(),
            holders: Vec::new(),
            holdings: Vec::new(),
            reserved: Smallest::new(limit),
            expiring: Smallest::new(limit),
            expired: Smallest::new(limit),
        }
    }

    /// Takes a scope mapping.
    pub fn scope(&mut self, mapping: &ScopeMapping) {
        let number = self.scopes.number(mapping.scope());
        self.claims.define(number, mapping, &self.rules);
        for claim in mapping.claims().keys().filter(|claim| self.rules.is_reserved(claim)) {
            self.reserved.add((mapping.scope().clone(), claim.clone()), (), |(), ()| ());
        }
    }

    /// Takes a resource mapping. An expired one grants nothing, so that it has expired is all there is to say.
    pub fn mapping(&mut self, mapping: &ResourceMapping) {
        let mut scopes: Vec<u32> = mapping.scopes().iter().map(|scope| self.scopes.number(scope)).collect();
        scopes.sort_unstable();
        self.is_used.resize(self.scopes.values.len().max(self.is_used.len()), false);
        for scope in &scopes {
            self.is_used[*scope as usize] = true;
        }
        if let Some(at) = mapping.expires_at() {
            let key = || mapping.key().clone();
            if at <= self.now {
                self.expired.add(key(), at, |_, _| ());
                return;
            }
            if at.duration_since(self.now) <= EXPIRING_WITHIN {
                self.expiring.add(key(), at, |_, _| ());
            }
        }
        let client = self.clients.number(&mapping.key().client_identifier);
        let context = self.contexts.number(&mapping.key().participant_context);
        let set = match self.sets.get(scopes.as_slice()) {
            Some(set) => *set,
            None => self.new_set(scopes.into(), client, context),
        };
        self.holders[set as usize].count += 1;
        self.holdings.push(Holding { client, context, set });
    }

    fn new_set(&mut self, scopes: Arc<[u32]>, client: u32, context: u32) -> u32 {
        let set = u32::try_from(self.holders.len()).unwrap_or(u32::MAX);
        self.sets.insert(Arc::clone(&scopes), set);
        self.holders.push(Holders { scopes, first: Holding { client, context, set }, count: 0 });
        set
    }

    /// Everything that was found. For a large policy this takes a while and does not wait for anything.
    #[must_use]
    pub fn finish(self) -> Report {
        let mut report = Report::default();
        let (conflicts, conflicts_cut) = self.conflicts();
        let (overlaps, overlaps_cut) = self.overlaps();
        report.truncated = self.reserved.truncated
            || self.expiring.truncated
            || self.expired.truncated
            || conflicts_cut
            || overlaps_cut;
        let findings = self
            .reserved_claims()
            .chain(times(&self.expiring, Kind::ExpiringMapping))
            .chain(times(&self.expired, Kind::ExpiredMapping))
            .chain(conflicts)
            .chain(self.unmapped())
            .chain(self.unused())
            .chain(overlaps);
        report.findings = findings.take(self.limit.saturating_add(1)).collect();
        if report.findings.len() > self.limit {
            report.findings.truncate(self.limit);
            report.truncated = true;
        }
        report
    }

    fn key(&self, holding: Holding) -> MappingKey {
        MappingKey {
            client_identifier: self.clients.value(holding.client).clone(),
            participant_context: self.contexts.value(holding.context).clone(),
        }
    }

    fn reserved_claims(&self) -> impl Iterator<Item = Finding> {
        self.reserved.entries.keys().map(|(scope, claim)| {
            let message = format!(
                "the scope mapping of {scope} defines the reserved claim {claim}, which is never issued from it"
            );
            let finding = Finding::new(Kind::ReservedClaim, message);
            Finding { scope: Some(scope.clone()), claim: Some(claim.clone()), ..finding }
        })
    }

    fn unmapped(&self) -> impl Iterator<Item = Finding> {
        let mut unmapped: BTreeMap<&Scope, (Holding, usize)> = BTreeMap::new();
        for holders in &self.holders {
            for scope in holders.scopes.iter().filter(|scope| !self.claims.is_defined(**scope)) {
                unmapped.entry(self.scopes.value(*scope)).or_insert((holders.first, 0)).1 += holders.count;
            }
        }
        unmapped.into_iter().map(|(scope, (first, count))| {
            let key = self.key(first);
            let message = format!(
                "the scope {scope} has no scope mapping, so it adds no claim; granted by {}",
                mappings(count, &key)
            );
            let finding = Finding::new(Kind::UnmappedScope, message).of_mapping(&key);
            Finding { scope: Some(scope.clone()), mappings: Some(count), ..finding }
        })
    }

    fn unused(&self) -> impl Iterator<Item = Finding> {
        let is_used = |number: u32| self.is_used.get(number as usize).copied().unwrap_or(false);
        let unused = self.claims.defined().filter(move |number| !is_used(*number));
        let mut unused: Vec<&Scope> = unused.map(|number| self.scopes.value(number)).collect();
        unused.sort_unstable();
        unused.into_iter().map(|scope| {
            let finding =
                Finding::new(Kind::UnusedScope, format!("no resource mapping grants the scope {scope}"));
            Finding { scope: Some(scope.clone()), ..finding }
        })
    }
}

fn times(entries: &Smallest<MappingKey, Timestamp>, kind: Kind) -> impl Iterator<Item = Finding> {
    entries.entries.iter().map(move |(key, at)| {
        let label = format!("the mapping of {} for {}", key.client_identifier, key.participant_context);
        let message = match kind {
            Kind::ExpiredMapping => format!("{label} expired at {at} and grants nothing"),
            _ => format!("{label} expires at {at}"),
        };
        Finding { expires_at: Some(*at), ..Finding::new(kind, message).of_mapping(key) }
    })
}

/// So many mappings, with one to look at.
fn mappings(count: usize, first: &MappingKey) -> String {
    let first = format!("the mapping of {} for {}", first.client_identifier, first.participant_context);
    match count {
        1 => first,
        more => format!("{more} mappings, the first of them {first}"),
    }
}

#[cfg(test)]
mod tests;
