//! The versions of the signing key that are known at one time.
//!
//! A ring never changes; a newer one replaces it whole. It is what one answer of Vault listed, and for a short while
//! what the answer before listed and this one does not yet know: a standby node that lags behind a rotation answers
//! with the state of a moment ago, and must not take back a version that verifiers already need. What restricts is
//! believed at once, what a lagging node would say only when it keeps being said:
//!
//! - a version below `min_decryption_version` is gone at once, that is emergency retirement;
//! - a version that is missing because it is newer than the newest listed one stays for [`PATIENCE`] refresh intervals;
//! - a lower `min_decryption_version` than before counts after that time, until then it brings no version back;
//! - a version with another public key than before means that the key was deleted and made anew: nothing of the ring
//!   before is kept.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use jwtlet_core::jwk::JwkSet;

use crate::{
    KeyName,
    choices::RsaAlgorithm,
    key_version::{KeyRefusal, KeyVersion, usable_kind},
    rotation::{Candidate, first_published, signing_version},
    wire::KeyData,
};

/// How many refresh intervals a node may lag behind.
pub(crate) const PATIENCE: u32 = 2;

/// The times that decide over a version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) publish_before_sign: Duration,
    pub(crate) token_ttl: Duration,
}

/// A version and when Vault last listed it.
#[derive(Debug, Clone)]
struct Listed {
    version: Arc<KeyVersion>,
    at: Instant,
}

/// What the known versions of the signing key are used for.
#[derive(Debug, Clone, Copy)]
pub struct KeyCensus {
    /// The version that signs, and when Vault made it.
    pub signing: Option<(u32, Timestamp)>,
    /// The newest version, and when Vault made it.
    pub newest: Option<(u32, Timestamp)>,
    /// The oldest version that is published, and when Vault made it.
    pub oldest: Option<(u32, Timestamp)>,
    /// How many are published and too new to sign.
    pub waiting: usize,
    /// How many do not sign any more and are published for the tokens that they signed.
    pub superseded: usize,
    /// How many Vault lists that are not published any more.
    pub retired: usize,
    /// How long ago Vault listed them.
    pub read: Duration,
}

/// All known versions.
#[derive(Debug)]
pub(crate) struct KeyRing {
    /// By number; never empty.
    versions: Vec<Listed>,
    lifetimes: Lifetimes,
    /// `min_encryption_version`: versions below it may not sign; 0 means no minimum.
    minimum: u32,
    /// `min_decryption_version`: versions below it are retired.
    floor: u32,
    /// When Vault last said so.
    floor_at: Instant,
    /// When Vault listed the versions, of which the newest may be from an earlier list.
    read_at: Instant,
    /// Made when first asked for, each for the versions from its index on.
    published: Vec<OnceLock<Arc<JwkSet>>>,
}

impl KeyRing {
    /// Reads Vault's answer; refuses a key whose signatures would be of no use.
    pub(crate) fn parse(
        name: &KeyName,
        rsa: RsaAlgorithm,
        lifetimes: Lifetimes,
        data: KeyData,
    ) -> Result<Self, KeyRefusal> {
        let kind = usable_kind(&data, rsa)?;
        let at = Instant::now();
        let mut versions = Vec::new();
        for (number, version) in data.keys.unwrap_or_default() {
            let version = Arc::new(KeyVersion::parse(name, kind, number, version)?);
            versions.push(Listed { version, at });
        }
        versions.sort_by_key(|listed| listed.version.number);
        if versions.is_empty() {
            return Err(KeyRefusal::NoVersions);
        }
        let ring = Self {
            published: versions.iter().map(|_| OnceLock::new()).collect(),
            versions,
            lifetimes,
            minimum: data.min_encryption_version,
            floor: data.min_decryption_version,
            floor_at: at,
            read_at: at,
        };
        // The age of versions decides only among those that may sign at all.
        match ring.oldest() {
            Some(_) => Ok(ring),
            None => Err(KeyRefusal::NoneMaySign(ring.minimum)),
        }
    }

    /// This ring, read just now, with what the one before knew better.
    pub(crate) fn after(mut self, previous: &Self, refresh_interval: Duration) -> Self {
        if self.reused_kid(previous).is_some() {
            return self;
        }
        let patience = refresh_interval * PATIENCE;
        let newest = self.newest();
        let (mut floor, mut floor_at) = (self.floor, self.floor_at);
        if previous.floor > floor && previous.floor_at.elapsed() < patience {
            (floor, floor_at) = (previous.floor, previous.floor_at);
        }
        let kept = previous
            .versions
            .iter()
            .filter(|listed| listed.version.number > newest && listed.at.elapsed() < patience);
        // What is kept is newer than all that is listed, so the order stays.
        let versions: Vec<_> = self
            .versions
            .iter()
            .chain(kept)
            .filter(|listed| listed.version.number >= floor)
            .cloned()
            .collect();
        if !versions.is_empty() {
            self.published = versions.iter().map(|_| OnceLock::new()).collect();
            (self.versions, self.floor, self.floor_at) = (versions, floor, floor_at);
        }
        self
    }

    /// The version that signs at this time.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<&Arc<KeyVersion>> {
        let number =
            signing_version(self.candidates(), self.minimum, now, self.lifetimes.publish_before_sign)?;
        self.versions().find(|version| version.number == number)
    }

    /// The oldest version that may sign.
    pub(crate) fn oldest(&self) -> Option<&Arc<KeyVersion>> {
        self.versions().find(|version| version.number >= self.minimum)
    }

    /// Everything that verifiers may need at this time.
    pub(crate) fn published(&self, now: Timestamp) -> Arc<JwkSet> {
        let candidates: Vec<_> = self.candidates().collect();
        let signing = self.signing(now).map_or(0, |version| version.number);
        let Lifetimes { publish_before_sign, token_ttl } = self.lifetimes;
        let first = first_published(&candidates, signing, now, publish_before_sign, token_ttl);
        let make = || {
            Arc::new(JwkSet {
                keys: self.versions().skip(first).map(|version| version.jwk.clone()).collect(),
            })
        };
        self.published.get(first).map_or_else(make, |set| Arc::clone(set.get_or_init(make)))
    }

    /// The `kid` of a version whose public key is another one than in that ring: somebody deleted the key and made a
    /// new one of the same name.
    pub(crate) fn reused_kid(&self, previous: &Self) -> Option<&str> {
        let differs = |version: &&Arc<KeyVersion>| {
            previous.versions().any(|old| old.number == version.number && old.jwk != version.jwk)
        };
        self.versions().find(differs).map(|version| version.jwk.kid())
    }

    /// What the versions are used for at this time.
    pub(crate) fn census(&self, now: Timestamp) -> KeyCensus {
        let candidates: Vec<_> = self.candidates().collect();
        let signing = self.signing(now).map(|version| version.candidate());
        let Lifetimes { publish_before_sign, token_ttl } = self.lifetimes;
        let number = signing.map_or(0, |candidate| candidate.version);
        let published = first_published(&candidates, number, now, publish_before_sign, token_ttl);
        let superseded =
            candidates.iter().skip(published).filter(|candidate| candidate.version < number).count();
        let described = |candidate: Candidate| (candidate.version, candidate.created_at);
        KeyCensus {
            signing: signing.map(described),
            newest: candidates.last().copied().map(described),
            oldest: candidates.get(published).copied().map(described),
            waiting: candidates.iter().filter(|candidate| candidate.version > number).count(),
            superseded,
            retired: published,
            read: self.read_at.elapsed(),
        }
    }

    /// When Vault's answer came.
    pub(crate) fn read_at(&self) -> Instant {
        self.read_at
    }

    /// The number of the newest version.
    pub(crate) fn newest(&self) -> u32 {
        self.versions.last().map_or(0, |listed| listed.version.number)
    }

    fn versions(&self) -> impl Iterator<Item = &Arc<KeyVersion>> {
        self.versions.iter().map(|listed| &listed.version)
    }

    fn candidates(&self) -> impl Iterator<Item = Candidate> + Clone {
        self.versions.iter().map(|listed| listed.version.candidate())
    }
}
