//! Just enough of protocol buffers to read a TokenRequest, because `kubectl` sends it in that form.
//!
//! A message is a row of fields, each a number with either an integer or a run of bytes. The body is four bytes
//! of magic and an envelope whose field 2 holds the object; there, field 2 is the `spec`.

use super::token_requests::{BoundObject, Spec};

/// The media type of such bodies.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";

enum Value<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
}

/// The `spec` of a TokenRequest, or nothing if the body is malformed.
pub(super) fn token_request(body: &[u8]) -> Option<Spec> {
    let object = member(body.strip_prefix(MAGIC)?, 2)?;
    let mut spec = Spec::default();
    for (number, value) in fields(member(object, 2).unwrap_or_default())? {
        match (number, value) {
            (1, Value::Bytes(audience)) => spec.audiences.get_or_insert_default().push(text(audience)),
            (3, Value::Bytes(bound)) => spec.bound_object_ref = Some(bound_object(bound)?),
            (4, Value::Integer(seconds)) => spec.expiration_seconds = Some(seconds.cast_signed()),
            _ => {}
        }
    }
    Some(spec)
}

fn bound_object(message: &[u8]) -> Option<BoundObject> {
    let of = |number| member(message, number).map(text).unwrap_or_default();
    fields(message)?;
    Some(BoundObject { kind: of(1), api_version: of(2), name: of(3), uid: of(4) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes of the first field with this number.
fn member(message: &[u8], wanted: u64) -> Option<&[u8]> {
    fields(message)?.into_iter().find_map(|field| match field {
        (number, Value::Bytes(bytes)) if number == wanted => Some(bytes),
        _ => None,
    })
}

fn fields(mut message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = integer(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Integer(integer(&mut message)?),
            2 => {
                let length = usize::try_from(integer(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

/// Seven bits a byte, the lowest first, while the top bit is set.
fn integer(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_and_a_cut_one_is_not() {
        let body = b"k8s\0\x12\x0f\x12\x0d\x0a\x06jwtlet\x1a\x00\x20\xb0\x09".to_vec();
        let spec = token_request(&body).unwrap();
        assert_eq!(spec.audiences, Some(vec!["jwtlet".to_owned()]));
        assert_eq!(spec.expiration_seconds, Some(1200));
        assert!(token_request(&body[..body.len() - 2]).is_none());
    }
}
