//! Successful reviews, kept for a short time.
//!
//! The key is a hash of token and audience, so that no token stays in memory; an entry never outlives its token; only
//! successes are kept, so that no flood of junk can push them out. Reviews of one token at the same time share one
//! call, which goes on when the caller who started it leaves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use jwtlet_core::{Audience, Subject, SubjectToken, subject::Rejection, subject_token::UnverifiedClaims};
use jwtlet_upstream::Counter;
use moka::{Expiry, future::Cache, policy::EvictionPolicy};

use tokio::time::Instant;
use tracing::Instrument;

use crate::reviewer::{Failure, Reviewer};

type Key = [u8; 32];

/// A review that succeeded.
#[derive(Debug, Clone)]
struct Entry {
    subject: Subject,
    /// `exp` of the token.
    expires_at: Timestamp,
    /// How long the entry may be used.
    ttl: Duration,
}

struct EntryTtl;

impl Expiry<Key, Entry> for EntryTtl {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: std::time::Instant) -> Option<Duration> {
        Some(entry.ttl)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ReviewCache {
    entries: Cache<Key, Entry>,
    ttl: Duration,
    hits: Arc<Counter>,
    misses: Arc<Counter>,
}

/// What the cache was good for.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReviewCacheUse {
    /// How many look-ups found a review.
    pub hits: u64,
    /// How many did not.
    pub misses: u64,
    /// How many reviews are kept, roughly: some of them may be over.
    pub entries: u64,
}

impl ReviewCache {
    pub(crate) fn new(ttl: Duration, max_entries: u64) -> Self {
        // Least recently used, and not moka's default: that one weighs how often a key was asked for, and lets the
        // questions of a flood count.
        let entries = Cache::builder()
            .max_capacity(max_entries)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(EntryTtl)
            .build();
        Self { entries, ttl, hits: Arc::default(), misses: Arc::default() }
    }

    /// What it was good for so far.
    pub(crate) fn usage(&self) -> ReviewCacheUse {
        ReviewCacheUse {
            hits: self.hits.get(),
            misses: self.misses.get(),
            entries: self.entries.entry_count(),
        }
    }

    /// The subject of a token, from the cache or from a review.
    pub(crate) async fn subject(
        &self,
        reviewer: &Arc<Reviewer>,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, Failure> {
        let key = key(token, audience);
        if let Some(entry) = self.entries.get(&key).await {
            self.hits.increment();
            // Checked here as well, because the cache counts time in its own way.
            return if entry.expires_at <= now { Err(Rejection::Expired.into()) } else { Ok(entry.subject) };
        }
        self.misses.increment();
        // A review is a large future, and not a part of those that find theirs here.
        Box::pin(self.review(key, reviewer, token, audience, now)).await
    }

    /// The subject of a token from a review, this caller's or that of another one with the same token.
    async fn review(
        &self,
        key: Key,
        reviewer: &Arc<Reviewer>,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, Failure> {
        let claims = reviewer.precheck(token, audience, now)?;
        let ttl = Duration::try_from(claims.expires_at.duration_since(now)).unwrap_or_default().min(self.ttl);
        let review = Review { reviewer, token, claims, audience, ttl, deadline: reviewer.deadline() };
        match self.share(key, &review).await {
            // It began before this caller came and failed of what may be over: this caller has time left.
            (Err(Failure::Review(_) | Failure::Aborted), Part::Joined) => self.share(key, &review).await.0,
            (outcome, _) => outcome,
        }
    }

    /// Joins the review of this key that is under way, or starts one.
    async fn share(&self, key: Key, review: &Review<'_>) -> (Result<Subject, Failure>, Part) {
        let started = Arc::new(AtomicBool::new(false));
        let (entries, starts, review) = (self.entries.clone(), Arc::clone(&started), review.begin());
        // A task of its own, because callers who wait for the same review would start over if this one left.
        let shared = async move {
            let review = async move {
                starts.store(true, Ordering::Release);
                review.await
            };
            entries.try_get_with(key, review).await
        };
        let shared = tokio::spawn(shared.in_current_span());
        let outcome = match shared.await {
            Ok(Ok(entry)) => Ok(entry.subject),
            Ok(Err(failure)) => Err(Failure::clone(&failure)),
            Err(_) => Err(Failure::Aborted),
        };
        (outcome, if started.load(Ordering::Acquire) { Part::Started } else { Part::Joined })
    }
}

/// What a caller had to do with the review whose outcome it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Started,
    Joined,
}

/// What a review needs.
struct Review<'a> {
    reviewer: &'a Arc<Reviewer>,
    token: &'a SubjectToken,
    claims: UnverifiedClaims,
    audience: &'a Audience,
    ttl: Duration,
    deadline: Instant,
}

impl Review<'_> {
    /// The review, to be run by whoever gets to it first.
    fn begin(&self) -> impl Future<Output = Result<Entry, Failure>> + Send + 'static {
        let (reviewer, token, audience) =
            (Arc::clone(self.reviewer), self.token.clone(), self.audience.clone());
        let (claims, ttl, deadline) = (self.claims.clone(), self.ttl, self.deadline);
        async move {
            let subject = reviewer.review(&token, &claims, &audience, deadline).await?;
            Ok(Entry { subject, expires_at: claims.expires_at, ttl })
        }
    }
}

fn key(token: &SubjectToken, audience: &Audience) -> Key {
    let mut context = Context::new(&SHA256);
    context.update(token.expose().as_bytes());
    // No token has a space in it, so that no two pairs make the same text.
    context.update(b" ");
    context.update(audience.as_str().as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}
