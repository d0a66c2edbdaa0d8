//! JSON as a security decision needs it: every member once, bounded depth, nothing after the value.
//!
//! Parsers differ on `{"sub":"a","sub":"b"}`; a token that two systems read differently must not be believed by
//! either (RFC 8725 §3.3, §3.7). `serde_json::Value` keeps the last one silently, hence this reader.
//!
//! It also refuses names with which the library means something of its own: `Value` reads the text behind such a name
//! as JSON, by rules that are none of these.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

const MAX_DEPTH: usize = 32;

/// How the names begin that `serde_json` and its features keep for themselves.
const RESERVED: &str = "$serde_json::private::";

/// Reads one JSON value from UTF-8 bytes.
///
/// # Errors
/// Malformed JSON, a repeated member at any depth, nesting deeper than 32, bytes after the value.
pub fn from_slice(json: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a JSON value from UTF-8 bytes and, where it is an array, hands its items on one by one, so that a long array is
/// never held as a whole. Any other value is handed on as the only one, with no position.
///
/// # Errors
/// As [`from_slice`], and what the receiver returns, at which the reading stops.
pub fn each_item<E>(
    json: &[u8],
    receive: impl FnMut(Option<usize>, Value) -> Result<(), E>,
) -> Result<Result<(), E>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut stopped = None;
    let items = Items { receive, stopped: &mut stopped };
    let outcome = deserializer.deserialize_any(items).and_then(|()| deserializer.end());
    match stopped {
        Some(error) => Ok(Err(error)),
        None => outcome.map(Ok),
    }
}

/// Reads a JSON object from UTF-8 bytes and hands on its members: those that are named as lists item by item, with their
/// positions, so that a long list is never held as a whole, and all others as they are.
///
/// # Errors
/// As [`from_slice`], a value that is no object, a member named as a list that is none, and what the receiver returns, at
/// which the reading stops.
pub fn each_member<E>(
    json: &[u8],
    lists: &[&str],
    receive: impl FnMut(&str, Option<usize>, Value) -> Result<(), E>,
) -> Result<Result<(), E>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut stopped = None;
    let members = Members { lists, receive, stopped: &mut stopped };
    let outcome = deserializer.deserialize_any(members).and_then(|()| deserializer.end());
    match stopped {
        Some(error) => Ok(Err(error)),
        None => outcome.map(Ok),
    }
}

struct Members<'a, F, E> {
    lists: &'a [&'a str],
    receive: F,
    stopped: &'a mut Option<E>,
}

impl<'de, F: FnMut(&str, Option<usize>, Value) -> Result<(), E>, E> Visitor<'de> for Members<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = next_name(&mut map)? {
            if self.lists.contains(&name.as_str()) {
                let receive = |position, item| (self.receive)(&name, Some(position), item);
                map.next_value_seed(List { receive, stopped: &mut *self.stopped })?;
            } else {
                let value = map.next_value_seed(Strict { depth: 1 })?;
                (self.receive)(&name, None, value).map_err(|error| {
                    *self.stopped = Some(error);
                    A::Error::custom("the receiver stopped")
                })?;
            }
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format_args!("member `{name}` appears twice")));
            }
        }
        Ok(())
    }
}

struct List<'a, F, E> {
    receive: F,
    stopped: &'a mut Option<E>,
}

impl<'de, F: FnMut(usize, Value) -> Result<(), E>, E> DeserializeSeed<'de> for List<'_, F, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(usize, Value) -> Result<(), E>, E> Visitor<'de> for List<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut position = 0;
        // Each item may be nested as deeply as one that comes alone.
        while let Some(item) = seq.next_element_seed(Strict { depth: 0 })? {
            (self.receive)(position, item).map_err(|error| {
                *self.stopped = Some(error);
                A::Error::custom("the receiver stopped")
            })?;
            position += 1;
        }
        Ok(())
    }
}

struct Items<'a, F, E> {
    receive: F,
    stopped: &'a mut Option<E>,
}

impl<F: FnMut(Option<usize>, Value) -> Result<(), E>, E> Items<'_, F, E> {
    fn hand_on<D: Error>(&mut self, position: Option<usize>, value: Value) -> Result<(), D> {
        (self.receive)(position, value).map_err(|error| {
            *self.stopped = Some(error);
            D::custom("the receiver stopped")
        })
    }
}

impl<'de, F: FnMut(Option<usize>, Value) -> Result<(), E>, E> Visitor<'de> for Items<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(item) = seq.next_element_seed(Strict { depth: 1 })? {
            self.hand_on(Some(position), item)?;
            position += 1;
        }
        Ok(())
    }

    fn visit_bool<D: Error>(mut self, value: bool) -> Result<(), D> {
        self.hand_on(None, value.into())
    }

    fn visit_i64<D: Error>(mut self, value: i64) -> Result<(), D> {
        self.hand_on(None, value.into())
    }

    fn visit_u64<D: Error>(mut self, value: u64) -> Result<(), D> {
        self.hand_on(None, value.into())
    }

    fn visit_f64<D: Error>(mut self, value: f64) -> Result<(), D> {
        self.hand_on(None, value.into())
    }

    fn visit_str<D: Error>(mut self, value: &str) -> Result<(), D> {
        self.hand_on(None, value.into())
    }

    fn visit_unit<D: Error>(mut self) -> Result<(), D> {
        self.hand_on(None, Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let value = Strict { depth: 0 }.visit_map(map)?;
        self.hand_on(None, value)
    }
}

/// The name of the next member, unless it is reserved.
fn next_name<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    match map.next_key::<String>()? {
        Some(name) if name.starts_with(RESERVED) => {
            Err(A::Error::custom(format_args!("member `{name}` has a reserved name")))
        }
        name => Ok(name),
    }
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { depth })? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = next_name(&mut map)? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member `{name}` appears twice")));
            }
            members.insert(name, map.next_value_seed(Strict { depth })?);
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,2.5,true,null,"x"],"b":{"c":{}}}"#;
        assert_eq!(from_slice(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn ambiguous_json_is_refused() {
        for text in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","s\u0075b":"b"}"#,
            r#"{"kubernetes.io":{"namespace":"a","namespace":"b"}}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1} x"#,
            "\u{feff}{}",
            "",
        ] {
            assert!(from_slice(text.as_bytes()).is_err(), "{text}");
        }
        assert!(from_slice(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn the_items_of_an_array_are_handed_on_until_the_receiver_stops() {
        let mut seen = Vec::new();
        let outcome = each_item(br#"[{"a":1},[2],3,4] x"#, |position, item| {
            seen.push((position, item.to_string()));
            if item == 3 { Err("three") } else { Ok(()) }
        });
        assert_eq!(outcome.unwrap(), Err("three"));
        assert_eq!(seen[0], (Some(0), r#"{"a":1}"#.to_owned()));
        assert_eq!(seen.len(), 3);
        assert!(each_item(b"[1] x", |_, _| Ok::<_, ()>(())).is_err());
        assert!(each_item(br#"[{"a":1,"a":2}]"#, |_, _| Ok::<_, ()>(())).is_err());
        assert_eq!(
            each_item(b"{}", |position, _| if position.is_none() { Ok(()) } else { Err(()) }).unwrap(),
            Ok(())
        );
    }

    #[test]
    fn members_are_handed_on_and_long_lists_item_by_item() {
        let read = |text: &str| {
            let mut seen = Vec::new();
            let outcome = each_member(text.as_bytes(), &["list"], |name, position, value| {
                seen.push(format!("{name} {position:?} {value}"));
                if value == "stop" { Err("stopped") } else { Ok(()) }
            });
            outcome.map(|outcome| outcome.map(|()| seen))
        };
        let seen = read(r#"{"a":[1],"list":[{"b":1},2],"c":null}"#).unwrap().unwrap();
        assert_eq!(seen, ["a None [1]", r#"list Some(0) {"b":1}"#, "list Some(1) 2", "c None null"]);
        assert_eq!(read(r#"{"list":["stop", 1]} x"#).unwrap(), Err("stopped"));
        assert!(read(r#"{"list":[]}"#).unwrap().unwrap().is_empty());
        for text in [r#"{"list":{}}"#, "[]", "1", r#"{"a":1,"a":2}"#, r#"{"list":[],"list":[]}"#, "{} x"] {
            assert!(read(text).is_err(), "{text}");
        }
        let nested = |depth: usize| format!(r#"{{"list":[{}{}]}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(32)).is_ok() && read(&nested(33)).is_err());
    }

    #[test]
    fn names_that_the_library_keeps_for_itself_are_refused_at_any_depth() {
        let member = r#"{"$serde_json::private::RawValue":"[1]"}"#;
        for text in [member.to_owned(), format!(r#"{{"a":[{member}]}}"#), format!("[{member}]")] {
            let error = from_slice(text.as_bytes()).unwrap_err().to_string();
            assert!(
                error.starts_with("member `$serde_json::private::RawValue` has a reserved name"),
                "{error}"
            );
            assert!(each_item(text.as_bytes(), |_, _| Ok::<_, ()>(())).is_err());
            assert!(each_member(text.as_bytes(), &["a"], |_, _, _| Ok::<_, ()>(())).is_err());
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(from_slice(nested(32).as_bytes()).is_ok());
        assert!(from_slice(nested(33).as_bytes()).is_err());
        assert!(from_slice("[".repeat(1_000_000).as_bytes()).is_err());
    }
}
