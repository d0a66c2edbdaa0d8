//! The one place that reads the clock.

use jiff::Timestamp;

/// The current time in whole microseconds.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    let now = Timestamp::now();
    whole_microseconds(now)
}

/// The time without what follows its microseconds, as every store keeps it.
pub(crate) fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
