//! Takes typed values out of the configuration and collects everything that is wrong with it.
//!
//! One pass reads every key, so that one message can list every problem. What is left at the end is unknown.

use std::{collections::BTreeMap, fmt};

use jiff::SignedDuration;

use super::source::{Node, Origin, Raw, Table, parse_list, variable_of};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    path: String,
    /// The value as it may be shown.
    shown: Option<String>,
    origin: Option<Origin>,
    rule: String,
}

impl Problem {
    /// A problem of a whole file.
    pub(super) fn of_file(origin: Option<Origin>, path: String, rule: String) -> Self {
        Self { path, shown: None, origin, rule }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(shown) = &self.shown {
            write!(f, " = {shown}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.rule)
    }
}

/// A value with its path and origin, to be converted.
pub(super) struct Given {
    raw: Raw,
}

/// A conversion's complaint: the rule, as it follows the key.
pub(super) type Rule = String;

impl Given {
    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&str, Rule> {
        match &self.raw {
            Raw::Text(text) | Raw::Untyped(text) if text.trim().is_empty() => Err("must not be empty".into()),
            Raw::Text(text) | Raw::Untyped(text) => Ok(text),
            _ => Err("must be a text in quotes".into()),
        }
    }

    /// A text that converts.
    pub(super) fn parse<T>(&self, convert: impl Fn(&str) -> Result<T, Rule>) -> Result<T, Rule> {
        convert(self.text()?)
    }

    /// A whole number in a range.
    pub(super) fn integer<T: TryFrom<i64>>(&self, min: i64, max: i64) -> Result<T, Rule> {
        let number = match &self.raw {
            Raw::Integer(number) => Some(*number),
            Raw::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        let in_range = number.filter(|number| (min..=max).contains(number));
        in_range
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
    }

    pub(super) fn flag(&self) -> Result<bool, Rule> {
        match &self.raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Untyped(text) if text.trim() == "true" => Ok(true),
            Raw::Untyped(text) if text.trim() == "false" => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }

    /// A time such as `"5s"` in a range of seconds.
    pub(super) fn duration(&self, min_secs: u64, max_secs: u64) -> Result<std::time::Duration, Rule> {
        let rule = || {
            format!(
                "must be a time with its unit, such as \"5s\" or \"1m 30s\", from {min_secs}s to {max_secs}s"
            )
        };
        let (Raw::Text(text) | Raw::Untyped(text)) = &self.raw else {
            return Err(rule());
        };
        let duration: SignedDuration = text.trim().parse().map_err(|_| rule())?;
        let duration = std::time::Duration::try_from(duration).map_err(|_| rule())?;
        let range = std::time::Duration::from_secs(min_secs)..=std::time::Duration::from_secs(max_secs);
        range.contains(&duration).then_some(duration).ok_or_else(rule)
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, Rule> {
        let rule = || "must be a list of texts".to_owned();
        let text = |raw: &Raw| match raw {
            Raw::Text(text) => Ok(text.clone()),
            _ => Err(rule()),
        };
        match &self.raw {
            Raw::List(items) => items.iter().map(text).collect(),
            Raw::Untyped(value) => parse_list(value).ok_or_else(rule)?.iter().map(text).collect(),
            _ => Err(rule()),
        }
    }
}

/// Whether a value may be repeated in a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Value,
    Nothing,
}

/// Reads keys, each once.
pub(super) struct Reader {
    table: Table,
    known: Vec<String>,
    /// Of the keys that were read.
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(table: Table) -> Self {
        Self { table, known: Vec::new(), origins: BTreeMap::new(), problems: Vec::new() }
    }

    /// A key that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        path: &str,
        convert: impl Fn(&Given) -> Result<T, Rule>,
    ) -> Option<T> {
        self.take(path, Show::Value, convert)
    }

    /// A key that may be left out and whose value is never shown.
    pub(super) fn secret<T>(&mut self, path: &str, convert: impl Fn(&Given) -> Result<T, Rule>) -> Option<T> {
        self.take(path, Show::Nothing, convert)
    }

    /// A key with a default.
    pub(super) fn with_default<T>(
        &mut self,
        path: &str,
        default: T,
        convert: impl Fn(&Given) -> Result<T, Rule>,
    ) -> T {
        self.optional(path, convert).unwrap_or(default)
    }

    /// A key that has to be there. `None` means that a problem was noted.
    pub(super) fn required<T>(
        &mut self,
        path: &str,
        convert: impl Fn(&Given) -> Result<T, Rule>,
    ) -> Option<T> {
        self.must_be_set(path);
        self.optional(path, convert)
    }

    /// A key that has to be there and whose value is never shown.
    pub(super) fn required_secret<T>(
        &mut self,
        path: &str,
        convert: impl Fn(&Given) -> Result<T, Rule>,
    ) -> Option<T> {
        self.must_be_set(path);
        self.secret(path, convert)
    }

    fn must_be_set(&mut self, path: &str) {
        if !self.is_set(path) {
            let rule = format!("is missing; set it in the file or as {}", variable_of(path));
            self.problems.push(Problem { path: path.to_owned(), shown: None, origin: None, rule });
        }
    }

    /// A problem that concerns a key as a whole, or its relation to others.
    pub(super) fn problem(&mut self, path: &str, rule: impl Into<String>) {
        let origin = self.origins.get(path).cloned();
        self.problems.push(Problem { path: path.to_owned(), shown: None, origin, rule: rule.into() });
    }

    /// A key that was read, with its origin.
    pub(super) fn label(&self, path: &str) -> String {
        self.origins.get(path).map_or_else(|| path.to_owned(), |origin| format!("{path} ({origin})"))
    }

    /// Whether a key is set, before it is read.
    pub(super) fn is_set(&self, path: &str) -> bool {
        let mut table = &self.table;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            match table.get(part) {
                Some(Node::Table(inner)) if parts.peek().is_some() => table = inner,
                node => return node.is_some() && parts.peek().is_none(),
            }
        }
        false
    }

    /// All keys of a table whose names are data.
    pub(super) fn entries<T>(
        &mut self,
        path: &str,
        convert: impl Fn(&str, &Given) -> Result<T, Rule>,
    ) -> Vec<T> {
        self.known.push(path.to_owned());
        let table = match self.table.remove(path) {
            None => return Vec::new(),
            Some(Node::Table(table)) => table,
            Some(Node::Leaf(raw, origin)) => {
                self.complain(path, Show::Value, &raw, origin, "must be a table".into());
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for (name, node) in table {
            let path = format!("{path}.{name}");
            match node {
                Node::Table(inner) => {
                    let origin = first_origin(&inner);
                    let rule = "must be a list of texts (put a name with dots in quotes)".into();
                    self.problems.push(Problem { path, shown: None, origin, rule });
                }
                Node::Leaf(raw, origin) => {
                    let given = Given { raw };
                    match convert(&name, &given) {
                        Ok(entry) => entries.push(entry),
                        Err(rule) => self.complain(&path, Show::Value, &given.raw, origin, rule),
                    }
                }
            }
        }
        entries
    }

    /// The paths of all keys that were asked for.
    pub(super) fn into_known(self) -> Vec<String> {
        self.known
    }

    /// Adds a problem that was found elsewhere.
    pub(super) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Every problem, those of unknown keys included.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let left = std::mem::take(&mut self.table);
        self.unknown("", left);
        self.problems
    }

    fn take<T>(&mut self, path: &str, show: Show, convert: impl Fn(&Given) -> Result<T, Rule>) -> Option<T> {
        self.known.push(path.to_owned());
        let (raw, origin) = match remove(&mut self.table, path)? {
            Node::Leaf(raw, origin) => (raw, origin),
            Node::Table(table) => {
                let origin = first_origin(&table);
                let rule = "must be a value, not a table".into();
                self.problems.push(Problem { path: path.to_owned(), shown: None, origin, rule });
                return None;
            }
        };
        self.origins.insert(path.to_owned(), origin.clone());
        let given = Given { raw };
        match convert(&given) {
            Ok(value) => Some(value),
            Err(rule) => {
                self.complain(path, show, &given.raw, origin, rule);
                None
            }
        }
    }

    fn complain(&mut self, path: &str, show: Show, raw: &Raw, origin: Origin, rule: Rule) {
        let shown = match show {
            Show::Value => show_raw(raw),
            Show::Nothing => "(secret)".to_owned(),
        };
        self.problems.push(Problem { path: path.to_owned(), shown: Some(shown), origin: Some(origin), rule });
    }

    /// A misspelt key may hold a secret, so the value of an unknown one is never shown.
    fn unknown(&mut self, prefix: &str, table: Table) {
        for (name, node) in table {
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match node {
                Node::Table(inner)
                    if self.known.iter().any(|known| known.starts_with(&format!("{path}."))) =>
                {
                    self.unknown(&path, inner);
                }
                Node::Table(inner) => self.note_unknown(prefix, path, first_origin(&inner)),
                Node::Leaf(_, origin)
                    if self.known.iter().any(|known| known.starts_with(&format!("{path}."))) =>
                {
                    let rule = "must be a table".into();
                    self.problems.push(Problem { path, shown: None, origin: Some(origin), rule });
                }
                Node::Leaf(_, origin) => self.note_unknown(prefix, path, Some(origin)),
            }
        }
    }

    fn note_unknown(&mut self, prefix: &str, path: String, origin: Option<Origin>) {
        let below = |known: &String| {
            let rest =
                if prefix.is_empty() { known } else { known.strip_prefix(prefix)?.strip_prefix('.')? };
            Some(rest.split('.').next().unwrap_or(rest).to_owned())
        };
        let mut allowed: Vec<String> = self.known.iter().filter_map(below).collect();
        allowed.dedup();
        let rule = format!("is not a key of this version; allowed here: {}", allowed.join(", "));
        self.problems.push(Problem { path, shown: None, origin, rule });
    }
}

/// Takes a node out, leaving no empty table behind.
fn remove(table: &mut Table, path: &str) -> Option<Node> {
    let Some((first, rest)) = path.split_once('.') else {
        return table.remove(path);
    };
    match table.get_mut(first)? {
        Node::Table(inner) => {
            let node = remove(inner, rest);
            if inner.is_empty() {
                table.remove(first);
            }
            node
        }
        // Reported once, as unknown, because no key has this path.
        Node::Leaf(..) => None,
    }
}

fn first_origin(table: &Table) -> Option<Origin> {
    table.values().find_map(|node| match node {
        Node::Leaf(_, origin) => Some(origin.clone()),
        Node::Table(inner) => first_origin(inner),
    })
}

fn show_raw(raw: &Raw) -> String {
    match raw {
        // A URL may carry a password.
        Raw::Text(text) | Raw::Untyped(text) if text.contains('@') => "(not shown)".into(),
        Raw::Text(text) | Raw::Untyped(text) => {
            let short: String = text.chars().take(80).collect();
            format!("{short:?}{}", if short.len() < text.len() { "…" } else { "" })
        }
        Raw::Integer(number) => number.to_string(),
        Raw::Flag(flag) => flag.to_string(),
        Raw::List(items) => format!("[{}]", items.iter().map(show_raw).collect::<Vec<_>>().join(", ")),
        Raw::Other(kind) => format!("({kind})"),
    }
}
