//! YAML whose every part knows where it was written.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Options, Spanned};

/// Where a part of a document begins, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A part of a document.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Members(Vec<Member>),
}

/// A member of an object. Its place is that of its name.
#[derive(Debug)]
struct Member {
    name: String,
    place: Place,
    value: Node,
}

/// All documents of a text; those without content are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, serde_saphyr::Error> {
    serde_saphyr::from_multiple_with_options(text, options(text.len()))
}

/// YAML 1.2 as it is written: `yes` is a text, and so is `1_000`. The limits are those of the longest text that is read;
/// aliases may not make much more of it.
fn options(length: usize) -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        budget: serde_saphyr::budget! {
            max_documents: length,
            max_nodes: length.saturating_mul(2).max(250_000),
            max_events: length.saturating_mul(4).max(1_000_000),
        },
    }
}

impl Node {
    /// The member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Node> {
        Some(&self.find(name)?.value)
    }

    /// Takes a member out of an object.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let Content::Members(members) = &mut self.content else { return None };
        let position = members.iter().position(|member| member.name == name)?;
        Some(members.remove(position).value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.content, Content::Members(_))
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Members(members) => {
                let pairs = members.iter().map(|member| (member.name.clone(), member.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Where a path such as `scopes[2]` or `labels.example.com/tier` leads, as far as it leads anywhere. Names may have dots
    /// in them, so the longest one that fits is followed.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &self.content {
            Content::List(items) => {
                let inner = path.strip_prefix('[').and_then(|path| path.split_once(']'));
                let item =
                    inner.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                item.map_or(self.place, |(item, rest)| item.place_of(rest))
            }
            Content::Members(members) => {
                let fits = |member: &&Member| {
                    let rest = path.strip_prefix(&*member.name);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                let member = members.iter().filter(fits).max_by_key(|member| member.name.len());
                member.map_or(self.place, |member| match &path[member.name.len()..] {
                    "" => member.place,
                    rest => member.value.place_of(rest),
                })
            }
            Content::Scalar(_) => self.place,
        }
    }

    fn find(&self, name: &str) -> Option<&Member> {
        match &self.content {
            Content::Members(members) => members.iter().find(|member| member.name == name),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { place: referenced.into(), content: value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("JSON has no such number"))?;
        Ok(Content::Scalar(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Scalar(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut members: Vec<Member> = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let Spanned { value: name, referenced, .. } = name;
            if members.iter().any(|member| member.name == name) {
                return Err(A::Error::custom(format_args!("{name} is given twice")));
            }
            members.push(Member { name, place: referenced.into(), value: map.next_value()? });
        }
        Ok(Content::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(node: &Node, path: &str) -> (u64, u64) {
        let place = node.place_of(path);
        (place.line, place.column)
    }

    #[test]
    fn every_part_knows_its_place() {
        let text = "# comment\nscopes:\n  - a\n  - b\nlabels:\n  a: x\n  a.b/c: y\nflow: {list: [1, {z: 2}]}\n---\nx: 1\n---\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        let [first, second] = &documents[..] else { panic!() };
        assert_eq!(at(first, ""), (2, 1));
        assert_eq!(at(first, "scopes"), (2, 1));
        assert_eq!(at(first, "scopes[1]"), (4, 5));
        assert_eq!(at(first, "labels.a.b/c"), (7, 3));
        assert_eq!(at(first, "labels.a"), (6, 3));
        assert_eq!(at(first, "flow.list[1].z"), (8, 19));
        assert_eq!(at(first, "nothing"), (2, 1));
        assert_eq!(at(first, "scopes[7]"), (3, 3));
        assert_eq!(at(second, "x"), (10, 1));
    }

    #[test]
    fn values_are_what_was_written() {
        let text = "a: yes\nb: 1_000\nc: 7\nd: -1\ne: 1.5\nf: ~\ng: true\nh: '1'\ni: &x [1]\nj: *x\n";
        assert_eq!(
            parse(text).unwrap()[0].to_json(),
            json!({"a": "yes", "b": "1_000", "c": 7, "d": -1, "e": 1.5, "f": null, "g": true, "h": "1", "i": [1], "j": [1]})
        );
        assert_eq!(parse("{\"json\": [1, \"x\"]}").unwrap()[0].to_json(), json!({"json": [1, "x"]}));
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for text in ["a: .nan", "a: 1\na: 2", "a: [", "a: 1\n b: 2", "a: *x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn many_documents_are_no_attack() {
        let text = "a: 1\n---\n".repeat(20_000);
        assert_eq!(parse(&text).unwrap().len(), 20_000);
    }
}
