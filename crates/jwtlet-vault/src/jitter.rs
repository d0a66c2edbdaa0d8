//! Pauses that no two replicas share, so that they do not come back all at once.

use std::time::Duration;

use aws_lc_rs::rand;

/// The first pause after a failure, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Between four fifths of the duration and the whole of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the pause is merely not spread.
    let _ = rand::fill(&mut random);
    duration.saturating_sub(duration / 5 * u32::from(random[0]) / 255)
}

/// Pauses that double up to a limit.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(FIRST)
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = jittered(self.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_stay_there() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..9).map(|_| backoff.next()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST * 4 / 5);
        assert!(pauses[1] > FIRST);
        assert!(pauses[8] <= LONGEST && pauses[8] >= LONGEST * 4 / 5);
    }
}
