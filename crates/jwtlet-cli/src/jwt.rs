//! A token as it is shown: decoded, never verified here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jwtlet_core::{strict_json, subject::Rejection};
use serde_json::Value;

/// Header and claims.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// Decodes a token in compact form.
pub(crate) fn decode(token: &str) -> Result<Decoded, Rejection> {
    let mut parts = token.split('.');
    let mut part = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        strict_json::from_slice(&bytes).ok().filter(Value::is_object)
    };
    match (part(), part()) {
        (Some(header), Some(claims)) => Ok(Decoded { header, claims }),
        _ => Err(Rejection::NotJwt),
    }
}

impl Decoded {
    /// A time of the claims (RFC 7519 §2), a fraction of a second cut off.
    pub(crate) fn time(&self, claim: &str) -> Option<Timestamp> {
        Timestamp::from_second(self.claims[claim].as_i64()?).ok()
    }
}

/// How far a time is from another: `in 55m`, `3h 2m ago`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let apart = at.duration_since(now);
    if apart.is_negative() { format!("{} ago", span(apart.abs())) } else { format!("in {}", span(apart)) }
}

/// A length of time in its two largest units.
pub(crate) fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = [(days, 'd'), (hours, 'h'), (minutes, 'm'), (seconds % 60, 's')];
    let from_largest = parts.into_iter().skip_while(|(count, _)| *count == 0).take(2);
    let text: Vec<String> =
        from_largest.filter(|(count, _)| *count != 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (3_300, "55m"), (3_661, "1h 1m"), (90_000, "1d 1h"), (86_401, "1d")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(relative(Timestamp::from_second(-61).unwrap(), now), "1m 1s ago");
        assert_eq!(relative(now, now), "in 0s");
    }
}
