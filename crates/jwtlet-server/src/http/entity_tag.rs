//! Entity tags in conditions (RFC 9110 §8.8.3, §13.1).

use std::fmt::Write;

use aws_lc_rs::digest;
use axum::http::{HeaderMap, HeaderName, header};

/// What a condition names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Any of these.
    OneOf(Vec<Tag>),
}

/// One entity tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) is_weak: bool,
    /// What is between the quotes.
    pub(crate) opaque: Vec<u8>,
}

/// The value of a header is not `*` and not a list of entity tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be * or entity tags in double quotes with commas between them")]
pub(crate) struct MalformedTags;

/// The entity tags of a condition, if there is one. A header that is given several times is one list.
pub(crate) fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, MalformedTags> {
    let values: Vec<&[u8]> =
        headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    match values.as_slice() {
        [] => Ok(None),
        [b"*"] => Ok(Some(Tags::Any)),
        values => {
            let mut list = Vec::new();
            for value in values {
                read_list(value, &mut list)?;
            }
            if list.is_empty() { Err(MalformedTags) } else { Ok(Some(Tags::OneOf(list))) }
        }
    }
}

/// Reads a list in which elements may be empty (RFC 9110 §5.6.1.2).
fn read_list(mut rest: &[u8], list: &mut Vec<Tag>) -> Result<(), MalformedTags> {
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let (tag, after) = read_tag(rest)?;
        list.push(tag);
        rest = after.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return Err(MalformedTags);
        }
    }
}

fn read_tag(text: &[u8]) -> Result<(Tag, &[u8]), MalformedTags> {
    let (is_weak, quoted) = match text.strip_prefix(b"W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let inner = quoted.strip_prefix(b"\"").ok_or(MalformedTags)?;
    let end = inner.iter().position(|byte| *byte == b'"').ok_or(MalformedTags)?;
    let (opaque, after) = (&inner[..end], &inner[end + 1..]);
    if opaque.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f)) {
        return Err(MalformedTags);
    }
    Ok((Tag { is_weak, opaque: opaque.to_vec() }, after))
}

/// Whether the caller has this representation, by the weak comparison of `If-None-Match` (RFC 9110 §13.1.2). A condition
/// that cannot be read does not hold anything back.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    match tags(headers, &header::IF_NONE_MATCH) {
        Ok(Some(Tags::Any)) => true,
        Ok(Some(Tags::OneOf(tags))) => {
            tags.iter().any(|given| given.opaque == tag.trim_matches('"').as_bytes())
        }
        Ok(None) | Err(MalformedTags) => false,
    }
}

/// A strong tag for these bytes.
pub(crate) fn of(body: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, body);
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in digest.as_ref().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Tags>, MalformedTags> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        tags(&headers, &header::IF_MATCH)
    }

    fn list(tags: &[(bool, &str)]) -> Tags {
        let tag = |(is_weak, opaque): &(bool, &str)| Tag { is_weak: *is_weak, opaque: (*opaque).into() };
        Tags::OneOf(tags.iter().map(tag).collect())
    }

    #[test]
    fn conditions_are_read_as_rfc_9110_writes_them() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[" * "]), Ok(Some(Tags::Any)));
        for (values, tags) in [
            (&["\"a\""][..], list(&[(false, "a")])),
            (&["\"\""], list(&[(false, "")])),
            (&[",\"a,b\" , ,W/\"c\","], list(&[(false, "a,b"), (true, "c")])),
            (&["\"a\"", "\"b\""], list(&[(false, "a"), (false, "b")])),
        ] {
            assert_eq!(read(values), Ok(Some(tags)), "{values:?}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for values in [
            &["a"][..],
            &[""],
            &[","],
            &["\"a"],
            &["a\""],
            &["\"a\" \"b\""],
            &["*, \"a\""],
            &["*", "*"],
            &["w/\"a\""],
            &["W/ \"a\""],
            &["\"a b\""],
            &["\"a\"", "b"],
            &["\"a\"x"],
        ] {
            assert_eq!(read(values), Err(MalformedTags), "{values:?}");
        }
    }
}
