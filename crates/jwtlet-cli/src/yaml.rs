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
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    /// The place after a text.
    pub(crate) fn after(text: &str) -> Self {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self { line: count(text.matches('\n').count()) + 1, column: count(last.chars().count()) + 1 }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A part of a document.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// Where its text is, in bytes.
    offset: Option<usize>,
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

/// A whole number with zeros before it. Some read it as octal, others as decimal, and the reader here makes a fraction of
/// it: what is meant has to be written. Displays as the rule.
#[derive(Debug)]
pub(crate) struct PaddedNumber {
    /// Its place in the document, as a path.
    pub(crate) field: String,
    literal: String,
}

impl PaddedNumber {
    fn new(field: &str, literal: &str) -> Option<Self> {
        let digits = literal.strip_prefix(['-', '+']).unwrap_or(literal);
        let is_padded =
            digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        is_padded.then(|| Self { field: field.to_owned(), literal: literal.to_owned() })
    }
}

impl fmt::Display for PaddedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literal = &self.literal;
        let digits = match literal.trim_start_matches(['-', '+', '0']) {
            "" => "0",
            digits => digits,
        };
        let sign = if literal.starts_with('-') { "-" } else { "" };
        write!(f, "a number must not begin with 0: write {sign}{digits}, or '{literal}' in quotes")
    }
}

/// Which document of a text has this place, in a text that cannot be read; nothing where it has but one. Documents without
/// content do not count.
pub(crate) fn document_at(text: &str, place: Place) -> Option<usize> {
    let (mut count, mut is_open, mut found) = (0, false, None);
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let marker = ["---", "..."].into_iter().find_map(|marker| line.strip_prefix(marker));
        let rest = marker.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if rest.is_some() && place == (Place { line: number, column: 1 }) {
            found = found.or(Some(count));
        }
        is_open &= rest.is_none();
        let content = rest.unwrap_or(line).trim_start();
        if !is_open && !content.is_empty() && !content.starts_with(['#', '%']) {
            (count, is_open) = (count + 1, true);
        }
        if number == place.line {
            found = found.or(Some(count));
        }
    }
    (count > 1).then(|| found.unwrap_or(count).max(1))
}

/// All documents of a text; those without content are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, serde_saphyr::Error> {
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
    pub(crate) fn member(&self, name: &str) -> Option<&Node> {
        Some(&self.find(name)?.value)
    }

    /// Takes a member out of an object.
    pub(crate) fn take(&mut self, name: &str) -> Option<Node> {
        let Content::Members(members) = &mut self.content else { return None };
        let position = members.iter().position(|member| member.name == name)?;
        Some(members.remove(position).value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            _ => None,
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.content, Content::Members(_))
    }

    /// The same as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Members(members) => {
                let pairs = members.iter().map(|member| (member.name.clone(), member.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The whole numbers with zeros before them, in the text that the document was read from.
    pub(crate) fn padded_numbers(&self, text: &str) -> Vec<PaddedNumber> {
        let mut found = Vec::new();
        self.find_padded(text, "", &mut found);
        found
    }

    fn find_padded(&self, text: &str, field: &str, found: &mut Vec<PaddedNumber>) {
        match &self.content {
            Content::Scalar(Value::Number(_)) => {
                let written = self.offset.and_then(|offset| text.get(offset..)).unwrap_or_default();
                let end = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | ':');
                found.extend(PaddedNumber::new(field, written.split(end).next().unwrap_or_default()));
            }
            Content::Scalar(_) => {}
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.find_padded(text, &format!("{field}[{index}]"), found);
                }
            }
            Content::Members(members) => {
                for Member { name, value, .. } in members {
                    let separator = if field.is_empty() { "" } else { "." };
                    value.find_padded(text, &format!("{field}{separator}{name}"), found);
                }
            }
        }
    }

    /// Where a path such as `scopes[2]` or `labels.example.com/tier` leads, as far as it leads anywhere. Names may have dots
    /// in them, so the longest one that fits is followed.
    pub(crate) fn place_of(&self, path: &str) -> Place {
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
        let Spanned { value, referenced, defined } = Spanned::<Content>::deserialize(deserializer)?;
        let offset = defined.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
        Ok(Self { place: referenced.into(), offset, content: value })
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
    fn whole_numbers_with_zeros_before_them_are_found() {
        let text = "\u{feff}é: 007\nb: {c: [08, 7, '09', 0, 0.5, -0], 010: x}\nd: !!str 07\ne: -07\nf: &x +00\ng: *x\nh: 2026-01-02\n";
        let found = parse(text).unwrap()[0].padded_numbers(text);
        let found: Vec<String> = found.iter().map(|number| format!("{}: {number}", number.field)).collect();
        assert_eq!(
            found,
            [
                "é: a number must not begin with 0: write 7, or '007' in quotes",
                "b.c[0]: a number must not begin with 0: write 8, or '08' in quotes",
                "e: a number must not begin with 0: write -7, or '-07' in quotes",
                "f: a number must not begin with 0: write 0, or '+00' in quotes",
                "g: a number must not begin with 0: write 0, or '+00' in quotes",
            ]
        );
    }

    #[test]
    fn documents_are_counted_as_they_are_read() {
        let text = "# comment\n---\n%a: 1\n---\na: 1\n--- # none\n--- {b: 1}\n...\nc: [1\n---\n";
        for (line, column, number) in [(1, 1, 1), (5, 1, 1), (7, 5, 2), (9, 4, 3), (10, 1, 3), (12, 1, 3)] {
            assert_eq!(document_at(text, Place { line, column }), Some(number), "{line}:{column}");
        }
        assert_eq!(document_at("# nothing\n---\na: [\n", Place { line: 3, column: 4 }), None);
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
