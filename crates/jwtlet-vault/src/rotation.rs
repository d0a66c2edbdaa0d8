//! Which key version signs, and which are published.
//!
//! A verifier holds the key set for a while, so a version that signs the moment it exists makes tokens that nobody can
//! verify yet. A version is published at once and signs later. The age is counted from Vault's own creation time, so
//! that all replicas agree without talking to each other, and a replica that has just started agrees too.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What the choice needs to know of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its number, from 1.
    pub(crate) version: u32,
    /// When Vault made it.
    pub(crate) created_at: Timestamp,
}

/// The newest version that was published long enough, else the oldest there is; `None` when no version may sign.
///
/// `minimum` is Vault's `min_encryption_version`, where 0 means no minimum: it refuses to sign with a lower version.
pub(crate) fn signing_version(
    candidates: impl Iterator<Item = Candidate> + Clone,
    minimum: u32,
    now: Timestamp,
    publish_before_sign: Duration,
) -> Option<u32> {
    let wait = SignedDuration::try_from(publish_before_sign).unwrap_or(SignedDuration::MAX);
    let allowed = candidates.filter(|candidate| candidate.version >= minimum);
    let old_enough = allowed.clone().filter(|candidate| now.duration_since(candidate.created_at) >= wait);
    old_enough
        .map(|candidate| candidate.version)
        .max()
        .or_else(|| allowed.map(|candidate| candidate.version).min())
}

/// How much longer than computed a superseded version stays published. A replica learns of a new version with its next
/// reading of the key (30 s, and as long again for a node that lags behind), calls take seconds, and the clocks of
/// replicas and of Vault differ.
const SLACK: SignedDuration = SignedDuration::from_secs(120);

/// The index of the first version that is published, in a list ordered by number: it and all after it are.
///
/// Never beyond the version that signs.
pub(crate) fn first_published(
    versions: &[Candidate],
    signing: u32,
    now: Timestamp,
    publish_before_sign: Duration,
    token_ttl: Duration,
) -> usize {
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let needed = signed(publish_before_sign).saturating_add(signed(token_ttl)).saturating_add(SLACK);
    // The first version that is still needed keeps all after it, so the search goes from the newest to the oldest.
    let mut first_newer_at = Timestamp::MAX;
    let mut first = versions.len();
    for (index, candidate) in versions.iter().enumerate().rev() {
        if candidate.version < signing && now.duration_since(first_newer_at) > needed {
            break;
        }
        first = index;
        first_newer_at = first_newer_at.min(candidate.created_at);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_mins(10);

    /// Versions with these ages in seconds, at a fixed `now`.
    fn chosen(ages: &[(u32, i64)], minimum: u32) -> Option<u32> {
        let now = Timestamp::from_second(1_900_000_000).unwrap();
        let candidates = ages.iter().map(|(version, age)| Candidate {
            version: *version,
            created_at: now - SignedDuration::from_secs(*age),
        });
        signing_version(candidates, minimum, now, WAIT)
    }

    #[test]
    fn a_new_version_waits_until_it_was_published_long_enough() {
        assert_eq!(chosen(&[(1, 9000), (2, 599)], 0), Some(1));
        assert_eq!(chosen(&[(1, 9000), (2, 600)], 0), Some(2));
    }

    #[test]
    fn the_newest_of_those_old_enough_signs_whatever_their_order() {
        assert_eq!(chosen(&[(10, 700), (9, 900), (2, 9000), (11, 10)], 0), Some(10));
    }

    #[test]
    fn when_all_are_young_the_oldest_signs() {
        assert_eq!(chosen(&[(1, 0)], 0), Some(1));
        assert_eq!(chosen(&[(4, 20), (3, 30)], 0), Some(3));
    }

    #[test]
    fn a_version_from_the_future_is_young() {
        assert_eq!(chosen(&[(1, 9000), (2, -9000)], 0), Some(1));
    }

    #[test]
    fn a_version_below_the_minimum_never_signs() {
        assert_eq!(chosen(&[(1, 9000), (2, 10), (3, 5)], 2), Some(2));
        assert_eq!(chosen(&[(1, 9000)], 2), None);
        assert_eq!(chosen(&[], 0), None);
    }

    /// The versions that are published with tokens of five minutes, given by age in seconds and ordered by number.
    fn published(ages: &[(u32, i64)], signing: u32) -> Vec<u32> {
        let now = Timestamp::from_second(1_900_000_000).unwrap();
        let versions: Vec<_> = ages
            .iter()
            .map(|(version, age)| Candidate {
                version: *version,
                created_at: now - SignedDuration::from_secs(*age),
            })
            .collect();
        let first = first_published(&versions, signing, now, WAIT, Duration::from_mins(5));
        versions[first..].iter().map(|candidate| candidate.version).collect()
    }

    #[test]
    fn a_superseded_version_is_published_while_its_tokens_can_be_alive() {
        assert_eq!(published(&[(1, 90_000), (2, 600 + 300 + 120)], 2), [1, 2]);
        assert_eq!(published(&[(1, 90_000), (2, 600 + 300 + 121)], 2), [2]);
        assert_eq!(published(&[(1, 90_000), (2, 5000), (3, 700)], 3), [2, 3]);
    }

    #[test]
    fn the_first_of_the_newer_versions_ends_the_time_of_an_older_one() {
        // Version 3 was made before version 2, by the clock of another node.
        assert_eq!(published(&[(1, 90_000), (2, 10), (3, 1020)], 3), [1, 2, 3]);
        assert_eq!(published(&[(1, 90_000), (2, 10), (3, 1021)], 3), [3]);
    }

    #[test]
    fn the_version_that_signs_and_all_newer_ones_are_always_published() {
        assert_eq!(published(&[(1, 90_000), (2, 9000), (3, 8000)], 1), [1, 2, 3]);
        assert_eq!(published(&[(1, -500), (2, 90_000)], 2), [2]);
        assert_eq!(published(&[(4, 0)], 4), [4]);
    }
}
