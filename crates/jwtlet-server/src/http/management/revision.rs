//! The entity tag of a record: its version and when it got it, so that no two states of one key ever share a tag, also
//! not those of a record that was deleted and created again.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use jwtlet_core::store::{Revision, Stored};
use serde::Serialize;

use crate::http::entity_tag;

/// The strong entity tag, quotes included.
pub(super) fn tag(revision: Revision) -> String {
    format!("\"v{}-{}\"", revision.version, revision.updated_at.as_microsecond())
}

/// The revision that a tag names, as [`tag`] writes it.
pub(super) fn parse(opaque: &[u8]) -> Option<Revision> {
    let (version, micros) = std::str::from_utf8(opaque).ok()?.strip_prefix('v')?.split_once('-')?;
    let updated_at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
    let revision = Revision { version: version.parse().ok()?, updated_at };
    // Numbers can be written in several ways, a tag in one.
    (tag(revision).trim_matches('"').as_bytes() == opaque).then_some(revision)
}

/// A record with its tag, or 304 for a caller who has it.
pub(super) fn answer<T>(headers: &HeaderMap, stored: &Stored<T>) -> Response
where
    Stored<T>: Serialize,
{
    let tag = tag(stored.revision());
    if entity_tag::is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    ([(header::ETAG, tag)], Json(stored)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_in_one_way() {
        let revision = Revision { version: 3, updated_at: Timestamp::constant(1_800_000_000, 123_456_000) };
        assert_eq!(tag(revision), "\"v3-1800000000123456\"");
        assert_eq!(parse(b"v3-1800000000123456"), Some(revision));
        for other in [
            "",
            "v3",
            "3-1800000000123456",
            "v+3-1800000000123456",
            "v03-1800000000123456",
            "v3--",
            "v3-99999999999999999999",
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }
}
