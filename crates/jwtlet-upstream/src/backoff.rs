//! Pauses that no two replicas share, so that they do not come back all at once.

use std::time::Duration;

use aws_lc_rs::rand;

/// Between four fifths of the duration and the whole of it.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the pause is merely not spread.
    let _ = rand::fill(&mut random);
    duration.saturating_sub(duration / 5 * u32::from(random[0]) / 255)
}

/// Pauses that double up to a limit, each of them jittered.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts with the first pause.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_stay_there() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, longest);
        let pauses: Vec<Duration> = (0..9).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= first && pauses[0] >= first * 4 / 5);
        assert!(pauses[1] > first);
        assert!(pauses[8] <= longest && pauses[8] >= longest * 4 / 5);
    }
}
