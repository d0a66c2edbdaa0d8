//! The policy that is there, as documents.

use clap::Args;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use crate::{
    cli::{Format, Metadata},
    documents::Kind,
    error::Error,
    exit::Exit,
    output::Output,
    settings::Settings,
    text::printable,
};

/// The order in which people expect the members of a document; others follow.
const ORDER: [&str; 10] = [
    "scope",
    "clientIdentifier",
    "participantContext",
    "owner",
    "labels",
    "description",
    "expiresAt",
    "scopes",
    "audiences",
    "claims",
];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    metadata: Metadata,
    /// Writes before each document where editors find its schema: a path or a URL, as `policy schema` prints it
    #[arg(long, value_name = "LOCATION")]
    schema: Option<String>,
}

/// Prints documents; as JSON, what the API answers.
pub(super) async fn run(arguments: &Arguments, settings: &Settings, output: Output) -> Result<Exit, Error> {
    let reply = settings.management()?.export(&arguments.metadata.filters()).await?;
    let policy: Value = reply.json()?;
    for kind in Kind::ALL {
        if !policy[kind.list()].is_array() {
            return Err(Error::Incomplete { url: reply.url, missing: kind.list() });
        }
    }
    if output.format == Format::Json {
        output.show(&policy, String::new)?;
        return Ok(Exit::Success);
    }
    // Scopes first: they are fewer, and mappings refer to them.
    let of =
        |kind: Kind| policy[kind.list()].as_array().into_iter().flatten().map(move |record| (kind, record));
    let mut text = String::new();
    for (kind, record) in of(Kind::ScopeMapping).chain(of(Kind::ResourceMapping)) {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        if let Some(location) = &arguments.schema {
            text.extend(["# yaml-language-server: $schema=", &printable(location), "\n"]);
        }
        text.push_str(&output.yaml(&Document { kind, record })?);
    }
    output.print(&text)?;
    Ok(Exit::Success)
}

struct Document<'a> {
    kind: Kind,
    record: &'a Value,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind.name())?;
        for name in ORDER {
            if let Some(value) = self.record.get(name) {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in self.record.as_object().into_iter().flatten() {
            if !ORDER.contains(&name.as_str()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
