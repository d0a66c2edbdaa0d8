//! Scope mappings.

use clap::{Args, Subcommand};
use jwtlet_core::Scope;
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

const SCOPE: Kind = Kind {
    collection: "scopes",
    noun: "scope mapping",
    key: &["scope"],
    columns: &[("claims", "CLAIMS"), ("owner", "OWNER"), ("labels", "LABELS")],
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists scope mappings, sorted by scope
    List(List),
    /// Shows one scope mapping
    Get(Key),
    /// Creates a scope mapping, or those of a file: all or none
    #[command(override_usage = "jwtlet scope create [OPTIONS] <SCOPE> --claims <JSON>\n       \
                                jwtlet scope create [OPTIONS] --file <FILE>")]
    Create(Create),
    /// Changes a scope mapping, unless somebody else changed it since it was read
    #[command(override_usage = "jwtlet scope update [OPTIONS] <SCOPE>\n       \
                                jwtlet scope update [OPTIONS] --file <FILE>")]
    Update(Update),
    /// Deletes a scope mapping
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only that of this scope
    #[arg(long, value_name = "SCOPE", value_parser = Scope::parse)]
    scope: Option<Scope>,
    #[command(flatten)]
    metadata: Metadata,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The scope
    #[arg(value_parser = Scope::parse)]
    scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The scope
    #[arg(value_parser = Scope::parse, requires = "claims")]
    scope: Option<Scope>,
    /// The claims that it adds, a JSON object such as {"role": "reader"}
    #[arg(long, value_name = "JSON", value_parser = input::json_object, requires = "scope")]
    claims: Option<Value>,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    file: RecordFile,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The scope
    #[arg(value_parser = Scope::parse)]
    scope: Option<Scope>,
    /// The claims that it adds from now on, a JSON object such as {"role": "reader"}
    #[arg(long, value_name = "JSON", value_parser = input::json_object, requires = "scope")]
    claims: Option<Value>,
    /// Only in the state with this entity tag, quotes included; `*` for any
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    no_notes: NoNotes,
    #[command(flatten)]
    file: RecordFile,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    key: Key,
    /// Only in the state with this entity tag, quotes included; `*` for any
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
}

impl Update {
    fn changes_something(&self) -> bool {
        self.claims.is_some() || !self.notes.is_empty() || !self.no_notes.is_empty()
    }

    fn write(&self, record: &mut Map<String, Value>) {
        if let Some(claims) = &self.claims {
            record.insert("claims".into(), claims.clone());
        }
        self.notes.write(record);
        self.no_notes.write(record);
    }
}

const EITHER: InputError = InputError::Record("give either SCOPE with --claims, or --file alone");

pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<Exit, Error> {
    match command {
        Command::List(list) => {
            let scope = list.scope.iter().map(|scope| ("scope", scope.as_str()));
            let filters: Vec<_> = scope.chain(list.metadata.filters()).collect();
            records::list(&SCOPE, &settings.management()?, &filters, list.paging, output).await
        }
        Command::Get(Key { scope }) => {
            records::get(&SCOPE, &settings.management()?, &[scope.as_str()], output).await
        }
        Command::Create(create) => {
            let body = match (create.scope, create.claims, create.file.file) {
                (Some(scope), Some(claims), None) => {
                    let mut record = Map::new();
                    record.insert("scope".into(), json!(scope));
                    record.insert("claims".into(), claims);
                    create.notes.write(&mut record);
                    Value::Object(record)
                }
                (None, None, Some(file)) if create.notes.is_empty() => input::document(&file)?,
                _ => return Err(EITHER.into()),
            };
            records::create(&SCOPE, &settings.management()?, &body, output).await
        }
        Command::Update(update) => {
            let tag = update.if_match.as_deref();
            match (&update.scope, update.changes_something(), &update.file.file) {
                (Some(scope), true, None) => {
                    let change = |record: &mut Map<String, Value>| update.write(record);
                    let client = settings.management()?;
                    records::update(&SCOPE, &client, &[scope.as_str()], tag, change, output).await
                }
                (None, false, Some(file)) => {
                    let record = input::document(file)?;
                    records::replace(&SCOPE, &settings.management()?, &record, tag, output).await
                }
                (Some(_), false, None) => Err(InputError::Record("no option says what to change").into()),
                _ => Err(EITHER.into()),
            }
        }
        Command::Delete(delete) => {
            let client = settings.management()?;
            let tag = delete.if_match.as_deref();
            records::delete(&SCOPE, &client, &[delete.key.scope.as_str()], tag, output).await
        }
    }
}
