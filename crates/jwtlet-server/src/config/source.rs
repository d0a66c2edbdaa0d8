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
    let line_starts = text.match_indices('\n').map(|(offset, _)| offset + 1).collect();
    let file = File { name: path.display().to_string(), line_starts };
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

struct File {
    name: String,
    /// Where each line but the first begins, in bytes.
    line_starts: Vec<usize>,
}

impl File {
    fn origin(&self, offset: usize) -> Origin {
        let line = 1 + self.line_starts.partition_point(|start| *start <= offset);
        Origin::File { name: self.name.clone(), line }
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

/// A variable that cannot be used.
pub(super) struct UnusableVariable {
    pub(super) path: String,
    pub(super) origin: Origin,
    pub(super) rule: &'static str,
}

/// Lays the variables over what the file says.
pub(super) fn overlay(table: &mut Table, variables: &[(OsString, OsString)]) -> Vec<UnusableVariable> {
    let mut unusable = Vec::new();
    // In an order of their own, so that the outcome does not depend on the environment's.
    let mut variables: Vec<_> = variables.iter().collect();
    variables.sort();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let parts: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let origin = Origin::Variable(name.clone().into_owned());
        let outcome = match value.to_str() {
            Some(text) => insert(table, &parts, Node::Leaf(Raw::Untyped(text.to_owned()), origin.clone())),
            None => Err("must be UTF-8"),
        };
        if let Err(rule) = outcome {
            unusable.push(UnusableVariable { path: parts.join("."), origin, rule });
        }
    }
    unusable
}

/// Puts a value at a path; a value never replaces a table, nor a table a value.
fn insert(table: &mut Table, parts: &[String], leaf: Node) -> Result<(), &'static str> {
    const BOTH: &str = "must be either a value or a table, and it is set as both";
    let Some((first, rest)) = parts.split_first() else { return Ok(()) };
    if rest.is_empty() {
        if let Some(Node::Table(_)) = table.get(first) {
            return Err(BOTH);
        }
        table.insert(first.clone(), leaf);
        return Ok(());
    }
    match table.entry(first.clone()).or_insert_with(|| Node::Table(Table::new())) {
        Node::Table(inner) => insert(inner, rest, leaf),
        Node::Leaf(..) => Err(BOTH),
    }
}

/// The variable that overrides a key.
pub(super) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}
