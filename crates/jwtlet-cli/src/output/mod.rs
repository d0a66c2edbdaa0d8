//! Results: on standard output, as tables for people or as JSON or YAML for programs.

mod progress;
mod table;

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

pub(crate) use self::{
    progress::Progress,
    table::{Table, Tone, cell_text},
};
use crate::{cli::Format, error::Error};

/// Where results go, and in what form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    is_colored: bool,
}

impl Output {
    /// For this process. Colours need a terminal that is not `dumb`, and a user who did not say no (<https://no-color.org>).
    pub(crate) fn new(format: Format) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { format, is_colored: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb }
    }

    /// Prints a result: the value for programs, the text for people.
    pub(crate) fn show(self, value: &Value, text: impl FnOnce() -> String) -> Result<(), Error> {
        match self.format {
            Format::Table => self.print(&text()),
            Format::Json => self.print(&format!("{value:#}\n")),
            Format::Yaml => self.print(&self.yaml(value)?),
        }
    }

    /// A value as YAML.
    #[expect(clippy::unused_self, reason = "as for all other forms")]
    pub(crate) fn yaml(self, value: &impl Serialize) -> Result<String, Error> {
        serde_saphyr::to_string(value).map_err(|error| Error::Output(io::Error::other(error)))
    }

    /// Prints a text as it is.
    #[expect(clippy::unused_self, reason = "whoever prints was given the output to print to")]
    pub(crate) fn print(self, text: &str) -> Result<(), Error> {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Error::Closed,
            _ => Error::Output(error),
        })
    }

    /// A table with this head, or without one.
    pub(crate) fn table(self, head: &[&str]) -> Table {
        Table::new(head, self.is_colored)
    }

    /// The same without colours, for what is not standard output.
    pub(crate) fn plain(self) -> Self {
        Self { is_colored: false, ..self }
    }

    /// A text in a colour, where there are colours.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        table::paint(tone, text, self.is_colored)
    }
}

/// Says something that is not a result, on standard error. Whether that can be written does not matter.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
