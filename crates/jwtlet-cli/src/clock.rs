//! The clock of this machine, read in one place.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
