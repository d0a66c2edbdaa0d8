//! The one place of this crate where the clock is read.

use jiff::Timestamp;

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the fakes stand for remote machines, which have a clock of their own"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
