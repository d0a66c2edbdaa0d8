//! Times as RFC 3339 §5.6 writes them, and in no other form.
//!
//! The parser of the library takes much of ISO 8601 and RFC 9557 besides: times without seconds, with a space, in the
//! basic format, with a time zone's name. Another reader of the same policy may take those for another time, or not at all.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};

/// Reads a time, or `null`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    parse(&text).map(Some).map_err(D::Error::custom)
}

/// Why a text is no time.
#[derive(Debug, thiserror::Error)]
pub(super) enum DateTimeError {
    #[error("must be a date and time of RFC 3339 with an offset, as in 2030-01-31T12:00:00Z")]
    Form,
    #[error(transparent)]
    NoSuchTime(#[from] jiff::Error),
}

/// Reads a time.
pub(super) fn parse(text: &str) -> Result<Timestamp, DateTimeError> {
    if is_date_time(text.as_bytes()) { Ok(text.parse()?) } else { Err(DateTimeError::Form) }
}

/// Whether the text has the form `date-time`. Whether there is such a day is for the parser to tell.
fn is_date_time(text: &[u8]) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(DATE_TIME.len()) else { return false };
    if !has_form(date_time, DATE_TIME) {
        return false;
    }
    match without_fraction(rest) {
        Some([b'Z' | b'z']) => true,
        Some([b'+' | b'-', offset @ ..]) => has_form(offset, b"00:00") && offset < &b"24:00"[..],
        _ => false,
    }
}

const DATE_TIME: &[u8] = b"0000-00-00T00:00:00";

/// Whether a text has digits where the form has zeros, and else the same characters.
fn has_form(text: &[u8], form: &[u8]) -> bool {
    let fits = |(c, form): (&u8, &u8)| match form {
        b'0' => c.is_ascii_digit(),
        _ => c.eq_ignore_ascii_case(form),
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

/// What is behind the fraction of a second, if there is one; `None` for a point without digits.
fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
    if digits == 0 { None } else { fraction.get(digits..) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Option<String> {
        deserialize(value).ok()?.map(|time| time.to_string())
    }

    #[test]
    fn a_date_time_of_rfc_3339_is_read() {
        for (text, time) in [
            ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
            ("2030-01-31t12:00:00z", "2030-01-31T12:00:00Z"),
            ("2030-01-31T12:00:00.25+01:30", "2030-01-31T10:30:00.25Z"),
            ("2030-01-31T12:00:00-23:59", "2030-02-01T11:59:00Z"),
            ("2028-02-29T00:00:00-00:00", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(read(json!(text)).as_deref(), Some(time));
        }
        assert_eq!(deserialize(Value::Null).unwrap(), None);
    }

    #[test]
    fn no_other_form_is_read() {
        for text in [
            "",
            "2030-01-31",
            "2030-01-31 12:00:00Z",
            "2030-01-31T12:00Z",
            "2030-01-31T12Z",
            "2030-01-31T12:00:00",
            "2030-01-31T12:00:00.Z",
            "2030-01-31T12:00:00,5Z",
            "20300131T120000Z",
            "+002030-01-31T12:00:00Z",
            "2030-01-31T12:00:00+01",
            "2030-01-31T12:00:00+0100",
            "2030-01-31T12:00:00+24:00",
            "2030-01-31T12:00:00+01:00:00",
            "2030-01-31T12:00:00+01:60",
            "2030-01-31T12:00:00Z[Europe/Berlin]",
            "2030-01-31T12:00:00Z ",
            " 2030-01-31T12:00:00Z",
            "2030-02-29T12:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T12:00:00\u{ff3a}",
        ] {
            assert_eq!(read(json!(text)), None, "{text}");
        }
    }
}
