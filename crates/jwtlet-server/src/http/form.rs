//! Strict decoding of forms, queries and path segments.
//!
//! Common decoders put U+FFFD where bytes are not UTF-8 and leave a bad `%` as it is, so two different requests can
//! become one. Here either is an error.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};
use percent_encoding::percent_decode_str;

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
    if memchr(b'%', text.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut escapes = text.split('%');
    escapes.next();
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !escapes.all(is_escape) {
        return Err(EncodingError::Percent);
    }
    percent_decode_str(text).decode_utf8().map_err(|_| EncodingError::NotUtf8)
}

/// Decodes what a form may put in the place of a space, and then the escapes.
fn decode_part(part: &str) -> Result<Cow<'_, str>, EncodingError> {
    // A token has neither, and nearly all of a body is the token.
    if memchr2(b'%', b'+', part.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(part));
    }
    if part.contains('+') {
        return decode(&part.replace('+', " ")).map(|decoded| Cow::Owned(decoded.into_owned()));
    }
    decode(part)
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
