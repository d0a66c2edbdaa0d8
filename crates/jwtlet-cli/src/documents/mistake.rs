//! What is wrong with documents, and where.

use std::fmt;

use serde_saphyr::UserMessageFormatter;

use super::at;
use crate::{
    error::OLDER_SERVER,
    exit::Exit,
    text::printable,
    yaml::{self, Place},
};

/// The most mistakes that one message tells.
const MAX_TOLD: usize = 20;

/// One mistake.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// `file:line:column`; empty where it is in no file.
    pub(super) at: String,
    /// Which document of the file.
    pub(super) document: Option<String>,
    /// Which member, as a path; empty for the whole document.
    pub(super) field: String,
    pub(super) message: String,
}

impl Mistake {
    /// A file that is not YAML.
    pub(super) fn not_yaml(file: &str, text: &str, error: &serde_saphyr::Error) -> Self {
        let place = error.location().map(Place::from);
        let number = place.and_then(|place| yaml::document_at(text, place));
        // Without its place, which stands before it, and without the lines around it.
        let message = error.without_snippet().render_with_formatter(&UserMessageFormatter);
        let message = message.lines().next().unwrap_or_default();
        let message = message.split(" at line ").next().unwrap_or_default();
        Self {
            at: place.map_or_else(|| file.to_owned(), |place| at(file, place)),
            document: number.map(|number| format!("document {number}")),
            field: String::new(),
            message: format!("not YAML: {}", printable(message)),
        }
    }

    /// A file that is not even text.
    pub(super) fn not_utf8(file: &str, place: Place) -> Self {
        Self {
            at: at(file, place),
            document: None,
            field: String::new(),
            message: "not UTF-8: save the file in that encoding".into(),
        }
    }

    fn is_unknown_field(&self) -> bool {
        self.message.starts_with("unknown field ")
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, document, field, message } = self;
        let parts = [at, document.as_deref().unwrap_or_default(), field];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(message)
    }
}

/// What kind of mistakes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A file is not YAML, or something in it is no document.
    NoDocument,
    /// Two documents are of one record.
    Duplicate,
    /// The documents do not carry one owner.
    Owners,
    /// The server says that documents break a rule.
    Refused {
        /// Whether it may be older than this command.
        may_be_older: bool,
    },
    /// The records are of other owners than the documents.
    NotOwned,
}

/// Mistakes, each on a line of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Mistakes {
    pub(crate) trouble: Trouble,
    pub(crate) mistakes: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.trouble {
            Trouble::NoDocument => "the files cannot be used as documents",
            Trouble::Duplicate => "documents are of the same record",
            Trouble::Owners => {
                "--prune needs documents that all carry one owner, whose other records it deletes"
            }
            Trouble::Refused { .. } => "documents are wrong",
            Trouble::NotOwned => "records belong to others than the documents say",
        })?;
        f.write_str("; nothing was changed")?;
        for mistake in self.mistakes.iter().take(MAX_TOLD) {
            write!(f, "\n  {mistake}")?;
        }
        match self.mistakes.len().saturating_sub(MAX_TOLD) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl Mistakes {
    fn are_unknown_fields(&self) -> bool {
        self.mistakes.iter().all(Mistake::is_unknown_field)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self.trouble {
            Trouble::NoDocument => Exit::NotYaml,
            Trouble::Duplicate => Exit::Duplicates,
            Trouble::Refused { .. } if self.are_unknown_fields() => Exit::UnknownField,
            Trouble::Refused { .. } => Exit::Refused,
            Trouble::Owners => Exit::Usage,
            Trouble::NotOwned => Exit::NotOwned,
        }
    }

    /// What to do about them.
    pub(crate) fn help(&self) -> &'static str {
        match self.trouble {
            Trouble::NoDocument => {
                "mend the files; `jwtlet policy schema` prints the schema that editors check them with"
            }
            Trouble::Duplicate => "keep one document of each record",
            Trouble::Owners => "write the same owner into each document, or leave --prune out",
            Trouble::Refused { may_be_older: true } if self.are_unknown_fields() => OLDER_SERVER,
            Trouble::Refused { .. } => {
                "mend the lines that are named; `jwtlet policy schema` prints the schema that editors check them with"
            }
            Trouble::NotOwned => {
                "write the owner of the record into the document, or take the records over with --take-over"
            }
        }
    }
}
