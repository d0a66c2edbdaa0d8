//! Resource mappings.

use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jwtlet_core::{Audience, ClientIdentifier, ParticipantContext, Scope};
use serde_json::{Map, Value, json};

use super::records::{self, Kind};
use crate::{
    cli::{Metadata, NoNotes, Notes, Paging, RecordFile},
    error::Error,
    exit::Exit,
    input::{self, InputError},
    output::Output,
    settings::Settings,
};

const MAPPING: Kind = Kind {
    collection: "mappings",
    noun: "mapping",
    key: &["clientIdentifier", "participantContext"],
    columns: &[
        ("scopes", "SCOPES"),
        ("audiences", "AUDIENCES"),
        ("expiresAt", "EXPIRES"),
        ("description", "DESCRIPTION"),
        ("owner", "OWNER"),
        ("labels", "LABELS"),
    ],
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists resource mappings, sorted by client and context
    List(List),
    /// Shows one resource mapping
    Get(Key),
    /// Creates a resource mapping, or those of a file: all or none
    #[command(override_usage = "jwtlet mapping create [OPTIONS] <CLIENT> <CONTEXT>\n       \
                                jwtlet mapping create [OPTIONS] --file <FILE>")]
    Create(Create),
    /// Changes a resource mapping, unless somebody else changed it since it was read
    #[command(override_usage = "jwtlet mapping update [OPTIONS] <CLIENT> <CONTEXT>\n       \
                                jwtlet mapping update [OPTIONS] --file <FILE>")]
    Update(Update),
    /// Deletes a resource mapping, or all of a client
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this client
    #[arg(long, value_name = "CLIENT", value_parser = ClientIdentifier::parse)]
    client: Option<ClientIdentifier>,
    /// Only those for this participant context
    #[arg(long, value_name = "CONTEXT", value_parser = ParticipantContext::parse)]
    context: Option<ParticipantContext>,
    /// Only those that grant this scope
    #[arg(long, value_name = "SCOPE", value_parser = Scope::parse)]
    scope: Option<Scope>,
    #[command(flatten)]
    metadata: Metadata,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The client, such as system:serviceaccount:NAMESPACE:NAME
    #[arg(value_parser = ClientIdentifier::parse)]
    client: ClientIdentifier,
    /// The participant context
    #[arg(value_parser = ParticipantContext::parse)]
    context: ParticipantContext,
}

impl Key {
    fn texts(&self) -> [&str; 2] {
        [self.client.as_str(), self.context.as_str()]
    }
}

/// A key on the command line, or a record in a file, which has its key in it.
#[derive(Debug, Args)]
struct Target {
    /// The client, such as system:serviceaccount:NAMESPACE:NAME
    #[arg(value_parser = ClientIdentifier::parse, requires = "context")]
    client: Option<ClientIdentifier>,
    /// The participant context
    #[arg(value_parser = ParticipantContext::parse)]
    context: Option<ParticipantContext>,
    #[command(flatten)]
    file: RecordFile,
}

/// The same, checked.
enum Chosen<'a> {
    Key([&'a str; 2]),
    File(&'a Path),
}

impl Target {
    /// One of the two, and a file without options that change what is in it.
    fn choose(&self, has_options: bool) -> Result<Chosen<'_>, Error> {
        match (&self.client, &self.context, &self.file.file) {
            (Some(client), Some(context), None) => Ok(Chosen::Key([client.as_str(), context.as_str()])),
            (None, None, Some(file)) if !has_options => Ok(Chosen::File(file)),
            _ => {
                Err(InputError::Record("give either CLIENT and CONTEXT with options, or --file alone").into())
            }
        }
    }
}

/// The members that creating and changing have in common.
#[derive(Debug, Args)]
struct Members {
    /// A scope that is granted; may be given several times. An update grants these and no others
    #[arg(long = "scope", value_name = "SCOPE", value_parser = Scope::parse)]
    scopes: Vec<Scope>,
    /// An audience that is allowed; may be given several times. Without any, only the default one is. An update allows
    /// these and no others
    #[arg(long = "audience", value_name = "AUDIENCE", value_parser = Audience::parse)]
    audiences: Vec<Audience>,
    /// From when on the mapping grants nothing, such as 2027-01-31T09:30:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// What the mapping is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    notes: Notes,
}

impl Members {
    /// Sets the members that were given.
    fn write(&self, record: &mut Map<String, Value>) {
        if !self.scopes.is_empty() {
            record.insert("scopes".into(), json!(self.scopes));
        }
        if !self.audiences.is_empty() {
            record.insert("audiences".into(), json!(self.audiences));
        }
        if let Some(time) = self.expires_at {
            record.insert("expiresAt".into(), json!(time));
        }
        if let Some(text) = &self.description {
            record.insert("description".into(), json!(text));
        }
        self.notes.write(record);
    }

    fn is_empty(&self) -> bool {
        self.scopes.is_empty()
            && self.audiences.is_empty()
            && self.expires_at.is_none()
            && self.description.is_none()
            && self.notes.is_empty()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    members: Members,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    members: Members,
    /// Adds a scope to those that are granted; may be given several times
    #[arg(long = "add-scope", value_name = "SCOPE", value_parser = Scope::parse, conflicts_with = "scopes")]
    add_scopes: Vec<Scope>,
    /// Takes a scope away; may be given several times
    #[arg(long = "remove-scope", value_name = "SCOPE", value_parser = Scope::parse, conflicts_with = "scopes")]
    remove_scopes: Vec<Scope>,
    /// Adds an audience to those that are allowed; may be given several times
    #[arg(long = "add-audience", value_name = "AUDIENCE", value_parser = Audience::parse)]
    #[arg(conflicts_with = "audiences")]
    add_audiences: Vec<Audience>,
    /// Takes an audience away; may be given several times
    #[arg(long = "remove-audience", value_name = "AUDIENCE", value_parser = Audience::parse)]
    #[arg(conflicts_with = "audiences")]
    remove_audiences: Vec<Audience>,
    /// Makes the mapping last
    #[arg(long, conflicts_with = "expires_at")]
    no_expiry: bool,
    #[command(flatten)]
    no_notes: NoNotes,
    /// Only in the state with this entity tag, quotes included; `*` for any
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The client
    #[arg(value_parser = ClientIdentifier::parse)]
    client: ClientIdentifier,
    /// The participant context
    #[arg(value_parser = ParticipantContext::parse, required_unless_present = "all")]
    context: Option<ParticipantContext>,
    /// Deletes all mappings of the client
    #[arg(long, conflicts_with_all = ["context", "if_match"])]
    all: bool,
    /// Only in the state with this entity tag, quotes included; `*` for any
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
}

pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<Exit, Error> {
    match command {
        Command::List(list) => {
            let filters = [
                ("clientIdentifier", list.client.as_ref().map(ClientIdentifier::as_str)),
                ("participantContext", list.context.as_ref().map(ParticipantContext::as_str)),
                ("scope", list.scope.as_ref().map(Scope::as_str)),
            ];
            let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let filters: Vec<_> = filters.chain(list.metadata.filters()).collect();
            records::list(&MAPPING, &settings.management()?, &filters, list.paging, output).await
        }
        Command::Get(key) => records::get(&MAPPING, &settings.management()?, &key.texts(), output).await,
        Command::Create(create) => {
            let body = create.body()?;
            records::create(&MAPPING, &settings.management()?, &body, output).await
        }
        Command::Update(update) => update.run(settings, output).await,
        Command::Delete(delete) => {
            let context = delete.context.as_ref().map(ParticipantContext::as_str);
            let key: Vec<&str> = [delete.client.as_str()].into_iter().chain(context).collect();
            let client = settings.management()?;
            records::delete(&MAPPING, &client, &key, delete.if_match.as_deref(), output).await
        }
    }
}

impl Create {
    fn body(&self) -> Result<Value, Error> {
        match self.target.choose(!self.members.is_empty())? {
            Chosen::File(file) => input::document(file),
            Chosen::Key([client, context]) => {
                let mut record = Map::new();
                record.insert("clientIdentifier".into(), json!(client));
                record.insert("participantContext".into(), json!(context));
                record.insert("scopes".into(), json!([]));
                self.members.write(&mut record);
                Ok(Value::Object(record))
            }
        }
    }
}

impl Update {
    async fn run(&self, settings: &Settings, output: Output) -> Result<Exit, Error> {
        let tag = self.if_match.as_deref();
        match self.target.choose(self.changes_something())? {
            Chosen::File(file) => {
                let record = input::document(file)?;
                records::replace(&MAPPING, &settings.management()?, &record, tag, output).await
            }
            Chosen::Key(key) if self.changes_something() => {
                let client = settings.management()?;
                let change = |record: &mut Map<String, Value>| self.write(record);
                records::update(&MAPPING, &client, &key, tag, change, output).await
            }
            Chosen::Key(_) => Err(InputError::Record("no option says what to change").into()),
        }
    }

    fn changes_something(&self) -> bool {
        !self.members.is_empty()
            || self.no_expiry
            || !self.no_notes.is_empty()
            || [&self.add_scopes, &self.remove_scopes].iter().any(|list| !list.is_empty())
            || [&self.add_audiences, &self.remove_audiences].iter().any(|list| !list.is_empty())
    }

    fn write(&self, record: &mut Map<String, Value>) {
        self.members.write(record);
        edit(record, "scopes", &texts(&self.add_scopes), &texts(&self.remove_scopes));
        edit(record, "audiences", &texts(&self.add_audiences), &texts(&self.remove_audiences));
        if self.no_expiry {
            record.remove("expiresAt");
        }
        self.no_notes.write(record);
    }
}

fn texts<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(T::to_string).collect()
}

/// Adds to a list what it does not have, and takes away what it has.
fn edit(record: &mut Map<String, Value>, member: &str, add: &[String], remove: &[String]) {
    if add.is_empty() && remove.is_empty() {
        return;
    }
    let list = record.entry(member).or_insert_with(|| json!([]));
    if let Some(items) = list.as_array_mut() {
        items.retain(|item| !remove.iter().any(|name| item == name.as_str()));
        for name in add {
            if !items.iter().any(|item| item == name.as_str()) {
                items.push(json!(name));
            }
        }
    }
}
