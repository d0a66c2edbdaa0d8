//! Strict decoding of forms, queries and path segments.
//!
//! Common decoders put U+FFFD where bytes are not UTF-8 and leave a bad `%` as it is, so two different requests can
//! become one. Here either is an error.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

/// Room for the parameters of an exchange.
const USUAL_PAIRS: usize = 8;

/// The text is not correctly encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodingError {
    #[error("a % must be followed by two hexadecimal digits")]
    Percent,
    #[error("the bytes must be UTF-8")]
    NotUtf8,
}

/// A name and a value. They are parts of the text where nothing is encoded in them.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Decodes `%` escapes once.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, EncodingError> {
    match memchr(b'%', text.as_bytes()) {
        None => Ok(Cow::Borrowed(text)),
        Some(first) => unescape(text, first, Plus::IsItself),
    }
}

/// Decodes what a form may put in the place of a space, and the escapes.
fn decode_part(part: &str) -> Result<Cow<'_, str>, EncodingError> {
    // A token has neither, and nearly all of a body is the token.
    match memchr2(b'%', b'+', part.as_bytes()) {
        None => Ok(Cow::Borrowed(part)),
        Some(first) => unescape(part, first, Plus::IsSpace),
    }
}

/// What a `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsItself,
    IsSpace,
}

/// Decodes a text in one pass, from the first byte that may need it on.
fn unescape(text: &str, first: usize, plus: Plus) -> Result<Cow<'_, str>, EncodingError> {
    let (plain, mut rest) = text.as_bytes().split_at(first);
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(plain);
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let [high, low, after @ ..] = rest else { return Err(EncodingError::Percent) };
                decoded.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            b'+' if plus == Plus::IsSpace => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| EncodingError::NotUtf8)
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> Result<u8, EncodingError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(EncodingError::Percent),
    }
}

/// The pairs of an `application/x-www-form-urlencoded` text in their order.
pub(crate) fn pairs(text: &str) -> Result<Vec<Pair<'_>>, EncodingError> {
    let mut pairs = Vec::with_capacity(USUAL_PAIRS);
    let mut start = 0;
    for end in memchr_iter(b'&', text.as_bytes()).chain([text.len()]) {
        let pair = &text[start..end];
        start = end + 1;
        if !pair.is_empty() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode_part(name)?, decode_part(value)?));
        }
    }
    Ok(pairs)
}

/// The parameters of a request to the token endpoint: those with an empty value count as absent (RFC 6749 §3.2).
pub(crate) fn parameters(text: &str) -> Result<Vec<Pair<'_>>, EncodingError> {
    let mut parameters = pairs(text)?;
    parameters.retain(|(_, value)| !value.is_empty());
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_and_empty_ones_count_as_absent() {
        let text = "scope=a+b%20c&&audience=&flag&resource=a%2Fb%2541&audience=x=y";
        let expected = [("scope", "a b c"), ("resource", "a/b%41"), ("audience", "x=y")];
        assert_eq!(parameters(text).unwrap(), expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn bad_encodings_are_errors() {
        for text in ["a=%", "a=%4", "a=%zz", "%=a", "a=%+1"] {
            assert_eq!(parameters(text), Err(EncodingError::Percent), "{text}");
        }
        assert_eq!(parameters("a=%FF"), Err(EncodingError::NotUtf8));
        assert_eq!(parameters("a=%C3%A4").unwrap(), [("a".into(), "ä".into())]);
    }
}
