//! A policy as documents in files: what `policy diff` and `policy apply` send.
//!
//! A document is a record as the API has it, with a `kind` before it. The server alone decides whether it is a good one, so
//! that this command works with newer servers; here it is found out what is no document at all, and which two documents
//! are of the same record. Every mistake, wherever it is found, is told with file, line and column.

mod files;
mod mistake;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde_json::{Value, json};

pub(crate) use self::mistake::{Mistake, Mistakes, Trouble};
use crate::{
    error::Error,
    input::{self, InputError},
    output::Progress,
    text::printable,
    yaml::{self, Node, Place},
};

/// The kinds of documents: their names in a document, in plans of the server, and in the body of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Which client may act for which participant context.
    ResourceMapping,
    /// Which claims a granted scope adds.
    ScopeMapping,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::ResourceMapping, Self::ScopeMapping];

    /// The `kind` of a document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ResourceMapping => "ResourceMapping",
            Self::ScopeMapping => "ScopeMapping",
        }
    }

    /// The `kind` in plans and mistakes of the server.
    pub(crate) fn of_plan(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.in_plans() == name)
    }

    fn in_plans(self) -> &'static str {
        match self {
            Self::ResourceMapping => "resourceMapping",
            Self::ScopeMapping => "scopeMapping",
        }
    }

    /// The member of an apply and of an export.
    pub(crate) fn list(self) -> &'static str {
        match self {
            Self::ResourceMapping => "resourceMappings",
            Self::ScopeMapping => "scopeMappings",
        }
    }

    /// The members that identify a record.
    pub(crate) fn key(self) -> &'static [&'static str] {
        match self {
            Self::ResourceMapping => &["clientIdentifier", "participantContext"],
            Self::ScopeMapping => &["scope"],
        }
    }

    /// A record in a message.
    pub(crate) fn describe(self, record: &Value) -> String {
        let key: Vec<String> =
            self.key().iter().filter_map(|name| Some(printable(record[*name].as_str()?))).collect();
        let noun = match self {
            Self::ResourceMapping => "mapping",
            Self::ScopeMapping => "scope mapping",
        };
        if key.is_empty() { noun.to_owned() } else { format!("{noun} of {}", key.join(" for ")) }
    }
}

/// A document, without its kind.
#[derive(Debug)]
struct Document {
    kind: Kind,
    file: Rc<str>,
    /// Counted in its file from 1; documents without content do not count.
    number: usize,
    node: Node,
}

impl Document {
    fn text(&self, member: &str) -> Option<&str> {
        self.node.member(member)?.text()
    }

    /// The key, as far as it is one.
    fn key(&self) -> Option<(Kind, Vec<&str>)> {
        let key: Option<Vec<&str>> = self.kind.key().iter().map(|name| self.text(name)).collect();
        Some((self.kind, key?))
    }

    /// `file:line:column`.
    fn at(&self, field: &str) -> String {
        at(&self.file, self.node.place_of(field))
    }

    fn mistake(&self, field: &str, message: &str) -> Mistake {
        let record = self.kind.key().iter().filter_map(|name| Some((*name, json!(self.text(name)?))));
        let record = Value::Object(record.map(|(name, text)| (name.to_owned(), text)).collect());
        Mistake {
            at: self.at(field),
            document: Some(format!("document {} ({})", self.number, self.kind.describe(&record))),
            field: printable(field),
            message: printable(message),
        }
    }
}

fn at(file: &str, place: Place) -> String {
    format!("{file}:{}:{}", place.line, place.column)
}

/// The documents of some files.
#[derive(Debug)]
pub(crate) struct Documents(Vec<Document>);

impl Documents {
    /// Reads all documents of these files and folders. All mistakes are told at once.
    pub(crate) fn read(named: &[PathBuf], progress: &Progress) -> Result<Self, Error> {
        let mut documents = Vec::new();
        let mut mistakes = Vec::new();
        let files = files::find(named)?;
        progress.reading(files.len());
        for path in &files {
            read_file(path, &mut documents, &mut mistakes)?;
            progress.read();
        }
        Self::new(documents, mistakes)
    }

    /// The same for a text.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn of_text(text: &str) -> Result<Self, Error> {
        let (mut documents, mut mistakes) = (Vec::new(), Vec::new());
        read_text(&"text".into(), text, &mut documents, &mut mistakes);
        Self::new(documents, mistakes)
    }

    fn new(documents: Vec<Document>, mistakes: Vec<Mistake>) -> Result<Self, Error> {
        if !mistakes.is_empty() {
            return Err(Mistakes { trouble: Trouble::NoDocument, mistakes }.into());
        }
        if documents.is_empty() {
            return Err(InputError::NoDocuments.into());
        }
        let documents = Self(documents);
        match documents.duplicates() {
            mistakes if mistakes.is_empty() => Ok(documents),
            mistakes => Err(Mistakes { trouble: Trouble::Duplicate, mistakes }.into()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The documents of a kind, in the order in which they are sent.
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Document> {
        self.0.iter().filter(move |document| document.kind == kind)
    }

    /// The documents as members of the body of an apply.
    pub(crate) fn body(&self) -> Value {
        let lists = Kind::ALL.map(|kind| {
            let list: Vec<Value> = self.of(kind).map(|document| document.node.to_json()).collect();
            (kind.list().to_owned(), Value::Array(list))
        });
        Value::Object(lists.into_iter().collect())
    }

    /// The owner that all documents carry.
    pub(crate) fn owner(&self) -> Result<&str, Error> {
        let mut mistakes = Vec::new();
        let mut known: Option<(&str, &Document)> = None;
        for document in &self.0 {
            match (document.text("owner"), known) {
                (None, _) => mistakes.push(document.mistake("owner", "is missing")),
                (Some(owner), None) => known = Some((owner, document)),
                (Some(owner), Some((first, _))) if owner == first => {}
                (Some(owner), Some((first, other))) => {
                    let rule = format!("is {owner}, and {first} at {}", other.at("owner"));
                    mistakes.push(document.mistake("owner", &rule));
                }
            }
        }
        match known {
            Some((owner, _)) if mistakes.is_empty() => Ok(owner),
            _ => Err(Mistakes { trouble: Trouble::Owners, mistakes }.into()),
        }
    }

    /// A mistake that the server found, by its place in the body.
    pub(crate) fn mistake(&self, error: &Value) -> Mistake {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (mut field, message) = (text(&error["field"]), text(&error["message"]));
        if field.is_empty() {
            // A member that is unknown or missing is named in the message alone, in the words of serde.
            let named =
                ["unknown field `", "missing field `"].iter().find_map(|start| message.strip_prefix(*start));
            field.push_str(named.and_then(|rest| rest.split('`').next()).unwrap_or_default());
        }
        let named = &error["document"];
        let kind = named["kind"].as_str().and_then(Kind::of_plan);
        let index = named["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let document = kind.zip(index).and_then(|(kind, index)| self.of(kind).nth(index));
        match document {
            Some(document) => document.mistake(&field, &message),
            None => Mistake { at: String::new(), document: None, field, message: printable(&message) },
        }
    }

    /// Where the document of a record is.
    pub(crate) fn places(&self) -> HashMap<(Kind, Vec<&str>), String> {
        self.0.iter().filter_map(|document| Some((document.key()?, document.at("")))).collect()
    }

    fn duplicates(&self) -> Vec<Mistake> {
        let mut seen: HashMap<(Kind, Vec<&str>), &Document> = HashMap::new();
        let mut mistakes = Vec::new();
        for document in &self.0 {
            let Some(key) = document.key() else { continue };
            if let Some(first) = seen.get(&key) {
                let rule = format!("there is a document of the same record at {}", first.at(""));
                mistakes.push(document.mistake("", &rule));
            } else {
                seen.insert(key, document);
            }
        }
        mistakes
    }
}

/// Adds the documents of a file, or what is wrong with them.
fn read_file(path: &Path, documents: &mut Vec<Document>, mistakes: &mut Vec<Mistake>) -> Result<(), Error> {
    let name: Rc<str> = match path.to_str() {
        Some("-") => "standard input".into(),
        _ => printable(&path.to_string_lossy()).into(),
    };
    let text = match input::read(path) {
        Ok(text) => text,
        Err(Error::Input(InputError::NotUtf8(_, place))) => {
            mistakes.push(Mistake::not_utf8(&name, place));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    read_text(&name, &text, documents, mistakes);
    Ok(())
}

fn read_text(name: &Rc<str>, text: &str, documents: &mut Vec<Document>, mistakes: &mut Vec<Mistake>) {
    match yaml::parse(text) {
        Ok(nodes) => add(name, text, nodes, documents, mistakes),
        Err(error) => mistakes.push(Mistake::not_yaml(name, text, &error)),
    }
}

fn add(
    name: &Rc<str>,
    text: &str,
    nodes: Vec<Node>,
    documents: &mut Vec<Document>,
    mistakes: &mut Vec<Mistake>,
) {
    for (position, mut node) in nodes.into_iter().enumerate() {
        let number = position + 1;
        match kind(&mut node) {
            Ok(kind) => {
                let document = Document { kind, file: Rc::clone(name), number, node };
                let padded = document.node.padded_numbers(text);
                mistakes
                    .extend(padded.iter().map(|number| document.mistake(&number.field, &number.to_string())));
                documents.push(document);
            }
            Err((place, field, message)) => mistakes.push(Mistake {
                at: at(name, place),
                document: Some(format!("document {number}")),
                field: field.to_owned(),
                message,
            }),
        }
    }
}

/// Takes the kind out of a document.
fn kind(node: &mut Node) -> Result<Kind, (Place, &'static str, String)> {
    let place = node.place;
    let names = Kind::ALL.map(Kind::name).join(" or ");
    if !node.is_object() {
        return Err((place, "", format!("must be an object with a kind: {names}")));
    }
    let Some(kind) = node.take("kind") else {
        return Err((place, "kind", format!("is missing: {names}")));
    };
    let known = Kind::ALL.into_iter().find(|known| kind.text() == Some(known.name()));
    known.ok_or_else(|| (kind.place, "kind", format!("must be {names}")))
}
