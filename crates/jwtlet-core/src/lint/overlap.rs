//! Which clients may do the same for a participant context.

use std::collections::{BTreeMap, HashMap};

use super::{Finding, Interner, Kind, Lint};
use crate::{mapping::MappingKey, policy::Words};

/// How many of the shared scopes a finding names.
const SHOWN_SCOPES: usize = 10;

/// What is kept of a resource mapping: numbers of names, and of its scope set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    pub(super) client: u32,
    pub(super) context: u32,
    pub(super) set: u32,
}

impl Lint {
    /// Pairs of clients that share scopes for a participant context, and whether there are more of them.
    ///
    /// Only pairs that do share a scope are looked at, and no more contexts than it takes to reach the limit: a context
    /// with thousands of clients costs no more than what is reported of it.
    pub(super) fn overlaps(&self) -> (Vec<Finding>, bool) {
        let (clients, contexts) = (ranks(&self.clients), ranks(&self.contexts));
        let mut holdings = self.holdings.clone();
        holdings.sort_unstable_by_key(|one| (contexts[one.context as usize], clients[one.client as usize]));
        let mut findings = Vec::new();
        for same_context in holdings.chunk_by(|a, b| a.context == b.context) {
            if same_context.len() > 1 {
                self.overlaps_of_one_context(same_context, &mut findings);
            }
            if findings.len() > self.limit {
                findings.truncate(self.limit);
                return (findings, true);
            }
        }
        (findings, false)
    }

    fn overlaps_of_one_context(&self, holdings: &[Holding], findings: &mut Vec<Finding>) {
        let scopes_of = |holding: &Holding| &self.holders[holding.set as usize].scopes;
        let mut holders_of: HashMap<u32, Vec<usize>> = HashMap::new();
        for (position, holding) in holdings.iter().enumerate() {
            for scope in scopes_of(holding).iter() {
                holders_of.entry(*scope).or_default().push(position);
            }
        }
        for (position, holding) in holdings.iter().enumerate() {
            let mut shared: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for scope in scopes_of(holding).iter() {
                let holders = holders_of.get(scope).map_or(&[][..], Vec::as_slice);
                let later = holders.partition_point(|other| *other <= position);
                for other in &holders[later..] {
                    shared.entry(*other).or_default().push(*scope);
                }
            }
            for (other, scopes) in shared {
                findings.push(self.overlap(*holding, holdings[other], &scopes));
                if findings.len() > self.limit {
                    return;
                }
            }
        }
    }

    fn overlap(&self, one: Holding, other: Holding, shared: &[u32]) -> Finding {
        let MappingKey { client_identifier, participant_context } = self.key(one);
        let other = self.clients.value(other.client);
        let mut scopes: Vec<_> = shared.iter().map(|scope| self.scopes.value(*scope).clone()).collect();
        scopes.sort_unstable();
        let message = format!(
            "{client_identifier} and {other} may both act for {participant_context} with the scopes {}",
            Words(&scopes)
        );
        scopes.truncate(SHOWN_SCOPES);
        Finding {
            client_identifier: Some(client_identifier),
            other_client_identifier: Some(other.clone()),
            participant_context: Some(participant_context),
            scopes,
            ..Finding::new(Kind::OverlappingClients, message)
        }
    }
}

/// The place of each value in their order, by its number.
fn ranks<T: Ord>(names: &Interner<T>) -> Vec<u32> {
    let mut order: Vec<usize> = (0..names.values.len()).collect();
    order.sort_unstable_by(|a, b| names.values[*a].cmp(&names.values[*b]));
    let mut ranks = vec![0; order.len()];
    for (number, rank) in order.into_iter().zip(0..) {
        ranks[number] = rank;
    }
    ranks
}
