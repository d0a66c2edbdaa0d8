//! Where configuration comes from: a TOML file, overridden by environment variables, with the origin of every value
//! kept for messages.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use toml::de::{DeTable, DeValue};

/// Variables with this prefix override keys; `__` separates the parts of a path.
const PREFIX: &str = "JWTLET__";

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File { name: String, line: usize },
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Text(String),
    /// From a variable: a text that may stand for a value of any type.
    Untyped(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Raw>),
    /// A type that no key has, such as a date.
    Other(&'static str),
}

/// A key's value, or the keys below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Leaf(Raw, Origin),
    Table(Table),
}

pub(super) type Table = BTreeMap<String, Node>;

/// A line that is not TOML.
pub(super) struct SyntaxError {
    pub(super) origin: Origin,
    pub(super) message: String,
}

/// Reads TOML, keeping the line of every value. The messages of syntax errors quote nothing: a line may hold a secret.
pub(super) fn parse_toml(path: &Path, text: &str) -> Result<Table, Vec<SyntaxError>> {
    let file = File { name: path.display().to_string(), text };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(file.table(table.get_ref()));
    }
    let error = |error: toml::de::Error| SyntaxError {
        origin: file.origin(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    };
    Err(errors.into_iter().map(error).collect())
}

struct File<'a> {
    name: String,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or_default();
        Origin::File { name: self.name.clone(), line: 1 + before.matches('\n').count() }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), self.node(value.get_ref(), key.span().start)))
            .collect()
    }

    fn node(&self, value: &DeValue<'_>, offset: usize) -> Node {
        match value {
            DeValue::Table(table) => Node::Table(self.table(table)),
            other => Node::Leaf(raw(other), self.origin(offset)),
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number out of range"), Raw::Integer),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

/// Reads a list from a variable: a TOML array, or words separated by commas.
pub(super) fn parse_list(text: &str) -> Option<Vec<Raw>> {
    if text.trim_start().starts_with('[') {
        match raw(DeValue::parse(text.trim()).ok()?.get_ref()) {
            Raw::List(items) => Some(items),
            _ => None,
        }
    } else {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Some(words.map(|word| Raw::Text(word.to_owned())).collect())
    }
}

/// Lays the variables over what the file says.
pub(super) fn overlay(table: &mut Table, variables: &[(OsString, OsString)]) {
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let parts: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        // A value that is not UTF-8 keeps its mark and fails the rule of whatever key it is for.
        let raw = Raw::Untyped(value.to_string_lossy().into_owned());
        insert(table, &parts, Node::Leaf(raw, Origin::Variable(name.clone().into_owned())));
    }
}

fn insert(table: &mut Table, parts: &[String], leaf: Node) {
    match parts {
        [] => {}
        [last] => {
            table.insert(last.clone(), leaf);
        }
        [first, rest @ ..] => {
            let node = table.entry(first.clone()).or_insert_with(|| Node::Table(Table::new()));
            if let Node::Leaf(..) = node {
                *node = Node::Table(Table::new());
            }
            if let Node::Table(inner) = node {
                insert(inner, rest, leaf);
            }
        }
    }
}

/// The variable that overrides a key.
pub(super) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}
