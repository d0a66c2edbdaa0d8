//! The one place that reads the clock.

use jiff::Timestamp;

/// The current time in whole microseconds, which is what every store keeps.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
