//! How often somebody may ask: each source before anything is verified, each client after it.
//!
//! Both are off unless configured, and then cost nothing. A limiter remembers whom it has seen lately, up to a number that
//! does not grow with the attack: whoever was forgotten begins anew.

mod source;

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use jwtlet_core::ClientIdentifier;
use jwtlet_upstream::Counter;
use moka::{policy::EvictionPolicy, sync::Cache};

pub use self::source::{ForwardedHeader, Proxies};

/// How many sources, and how many clients, are remembered.
const REMEMBERED: u64 = 100_000;

/// How long a limiter remembers at least.
const SHORTEST_MEMORY: Duration = Duration::from_mins(1);

/// So many requests a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

/// Somebody asks too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When the next request will be answered, in seconds.
    pub(crate) retry_after: u64,
}

/// The limiter of sources.
#[derive(Debug)]
pub(crate) struct Sources {
    limiter: Limiter<IpAddr>,
    proxies: Proxies,
}

impl Sources {
    pub(crate) fn new(rate: Rate, proxies: Proxies) -> Self {
        Self { limiter: Limiter::new(rate), proxies }
    }

    /// Requests that were not admitted.
    pub(crate) fn refused(&self) -> u64 {
        self.limiter.refused()
    }

    /// Counts a request of this peer.
    pub(crate) fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), TooMany> {
        self.limiter.admit(&self.proxies.source(peer, headers))
    }
}

/// The limiter of clients.
pub(crate) type ClientLimiter = Limiter<ClientIdentifier>;

/// Counts the requests of each key.
#[derive(Debug)]
pub(crate) struct Limiter<K: Clone + Hash + Eq + Send + Sync + 'static> {
    limiter: RateLimiter<K, States<K>, DefaultClock>,
    refused: Counter,
}

impl<K: Clone + Hash + Eq + Send + Sync + 'static> Limiter<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self::remembering(REMEMBERED, rate)
    }

    fn remembering(keys: u64, rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        // After so long a pause all of the burst is there again, and there is nothing left to remember.
        let memory = quota.burst_size_replenished_in().max(SHORTEST_MEMORY);
        // The policy that moka has otherwise would not take in who is new while others are seen more often.
        let states = Cache::builder()
            .max_capacity(keys)
            .time_to_idle(memory)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let limiter = RateLimiter::new(quota, States(states), DefaultClock::default());
        Self { limiter, refused: Counter::default() }
    }

    /// Requests that were not admitted.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Counts a request.
    pub(crate) fn admit(&self, key: &K) -> Result<(), TooMany> {
        self.limiter.check_key(key).map_err(|not_until| {
            self.refused.increment();
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            TooMany { retry_after: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) }
        })
    }
}

/// What a limiter remembers. The least recently seen are forgotten first.
#[derive(Debug)]
struct States<K: Clone + Hash + Eq + Send + Sync + 'static>(Cache<K, Arc<InMemoryState>>);

impl<K: Clone + Hash + Eq + Send + Sync + 'static> StateStore for States<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let state = self.0.get_with_by_ref(key, Arc::default);
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    #[test]
    fn each_key_has_its_own_burst_and_is_told_when_to_come_back() {
        let limiter = Limiter::new(rate(1, 2));
        for key in ["a", "b"] {
            assert_eq!(limiter.admit(&key), Ok(()));
            assert_eq!(limiter.admit(&key), Ok(()));
            assert_eq!(limiter.admit(&key), Err(TooMany { retry_after: 1 }));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::remembering(100, rate(1, 1));
        for key in 0..10_000 {
            assert_eq!(limiter.admit(&key), Ok(()));
        }
        let States(states) = limiter.limiter.into_state_store();
        states.run_pending_tasks();
        assert!(states.entry_count() <= 100, "{}", states.entry_count());
    }
}
