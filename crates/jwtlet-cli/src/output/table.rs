//! Tables for people: columns with space between them, no lines, so that other programs can cut them too.

use comfy_table::{Attribute, Cell, Color, presets::NOTHING};
use serde_json::Value;

use crate::text::printable;

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// All is well.
    Good,
    /// Look here.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Tone {
    fn color(self) -> Option<(Color, &'static str)> {
        match self {
            Self::Plain => None,
            Self::Good => Some((Color::Green, "32")),
            Self::Warning => Some((Color::Yellow, "33")),
            Self::Bad => Some((Color::Red, "31")),
        }
    }
}

/// A text with the codes of its colour around it.
pub(super) fn paint(tone: Tone, text: &str, is_colored: bool) -> String {
    match tone.color().filter(|_| is_colored) {
        Some((_, code)) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        None => text.to_owned(),
    }
}

/// A table in the making. Nothing in it is wrapped: names stay whole, to be copied and searched for.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(super) fn new(head: &[&str], is_colored: bool) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).style_text_only();
        if is_colored {
            table.enforce_styling();
        }
        if !head.is_empty() {
            table.set_header(head.iter().map(|name| {
                let cell = Cell::new(name);
                if is_colored { cell.add_attribute(Attribute::Bold) } else { cell }
            }));
        }
        Self(table)
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.toned_row(Tone::Plain, cells);
    }

    /// A row whose first cell has a colour.
    pub(crate) fn toned_row(&mut self, tone: Tone, cells: &[String]) {
        self.0.add_row(cells.iter().enumerate().map(|(position, text)| {
            let cell = Cell::new(text);
            match tone.color() {
                Some((color, _)) if position == 0 => cell.fg(color),
                _ => cell,
            }
        }));
    }

    /// The finished table, each line with its end.
    pub(crate) fn finish(self) -> String {
        let mut text = String::new();
        for line in self.0.lines() {
            // The space before the first column and after the last one is only in the way.
            text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
            text.push('\n');
        }
        text
    }
}

/// A JSON value in a cell: texts as they are, lists with spaces, simple objects as `name=value`.
pub(crate) fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(cell_text).collect::<Vec<_>>().join(" ")
        }
        Value::Object(members) if members.values().all(Value::is_string) => {
            let pair = |(name, value): (&String, _)| format!("{}={}", printable(name), cell_text(value));
            members.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => printable(&other.to_string()),
    }
}
