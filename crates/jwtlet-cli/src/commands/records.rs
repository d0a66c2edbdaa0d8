//! Records of the policy: listed, read, created, replaced, deleted.
//!
//! A replacement is always one of a known state: what is sent with `If-Match` is the entity tag of the record that was
//! read just before, or of the one that the file was made of. So nobody overwrites what they have not seen. Members that
//! this command does not know travel along unchanged.

use http::header;
use serde_json::{Map, Value, json};

use crate::{
    cli::Paging,
    client::{ManagementClient, path},
    error::Error,
    exit::Exit,
    input::InputError,
    output::{Output, cell_text, note},
    text::printable,
};

/// The members of every record that only the server writes.
const READ_ONLY: [&str; 3] = ["createdAt", "updatedAt", "version"];

/// A kind of record.
#[derive(Debug)]
pub(crate) struct Kind {
    /// In the path.
    pub(crate) collection: &'static str,
    /// In messages.
    pub(crate) noun: &'static str,
    /// The members that identify a record, in the order of the path.
    pub(crate) key: &'static [&'static str],
    /// The members that a list shows after them when a record has them, with their titles. Further ones follow.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

impl Kind {
    /// The path of a record.
    fn path(&self, key: &[&str]) -> String {
        path(&[&[self.collection], key].concat())
    }

    /// The key of a record, as messages have it.
    fn name(&self, key: &[&str]) -> String {
        format!("the {} of {}", self.noun, key.join(" for "))
    }

    /// The key that a record itself names.
    fn key_of<'a>(&self, record: &'a Value) -> Result<Vec<&'a str>, Error> {
        let key: Option<Vec<&str>> = self.key.iter().map(|member| record[*member].as_str()).collect();
        key.ok_or_else(|| InputError::Record(self.key_rule()).into())
    }

    fn key_rule(&self) -> &'static str {
        match self.key {
            [_] => "the record must name its scope",
            _ => "each record must name its clientIdentifier and participantContext",
        }
    }
}

/// Prints a list.
pub(crate) async fn list(
    kind: &Kind,
    client: &ManagementClient,
    filters: &[(&str, &str)],
    paging: Paging,
    output: Output,
) -> Result<Exit, Error> {
    let path = path(&[kind.collection]);
    let listed = match paging.limit {
        Some(limit) => client.fitting_page(&path, filters, limit, paging.cursor.as_deref()).await?,
        None => client.all(&path, filters, paging.cursor).await?,
    };
    output.show(&json!(listed.items), || table(kind, &listed.items, output))?;
    if let Some(cursor) = listed.next {
        note(&format!("there is more: --cursor {cursor}"));
    }
    Ok(Exit::Success)
}

fn table(kind: &Kind, records: &[Value], output: Output) -> String {
    let is_known = |name: &str| {
        kind.key.contains(&name)
            || READ_ONLY.contains(&name)
            || kind.columns.iter().any(|(member, _)| *member == name)
    };
    let is_told = |member: &str| records.iter().any(|record| !shown(member, &record[member]).is_empty());
    let mut columns = kind.columns.to_vec();
    columns.retain(|(member, _)| is_told(member));
    let mut further: Vec<&str> = Vec::new();
    for (name, value) in records.iter().filter_map(Value::as_object).flatten() {
        if !is_known(name) && !further.contains(&&**name) && !cell_text(value).is_empty() {
            further.push(name);
        }
    }
    let titles: Vec<String> = further.iter().map(|name| printable(name).to_uppercase()).collect();
    let key_titles = kind.key.iter().map(|member| match *member {
        "clientIdentifier" => "CLIENT",
        "participantContext" => "CONTEXT",
        _ => "SCOPE",
    });
    let head: Vec<&str> = key_titles
        .chain(columns.iter().map(|(_, title)| *title))
        .chain(titles.iter().map(String::as_str))
        .chain(["VERSION"])
        .collect();
    let mut table = output.table(&head);
    for record in records {
        let members = kind.key.iter().chain(columns.iter().map(|(member, _)| member));
        let members = members.copied().chain(further.iter().copied()).chain(["version"]);
        table.row(&members.map(|member| shown(member, &record[member])).collect::<Vec<_>>());
    }
    table.finish()
}

/// A member in a cell. Claims are JSON, whatever is in them.
fn shown(member: &str, value: &Value) -> String {
    if member == "claims" { printable(&value.to_string()) } else { cell_text(value) }
}

/// Prints a record, each member on a line of its own, with its entity tag.
pub(crate) async fn get(
    kind: &Kind,
    client: &ManagementClient,
    key: &[&str],
    output: Output,
) -> Result<Exit, Error> {
    let (record, tag) = read(kind, client, key).await?;
    output.show(&record, || {
        let mut table = output.table(&[]);
        let members = record.as_object();
        let is_first = |name: &str| kind.key.contains(&name);
        for name in kind.key {
            table.row(&[(*name).to_owned(), cell_text(&record[*name])]);
        }
        for (name, value) in members.into_iter().flatten().filter(|(name, _)| !is_first(name)) {
            table.row(&[printable(name), shown(name, value)]);
        }
        table.row(&["etag".to_owned(), printable(&tag)]);
        table.finish()
    })?;
    Ok(Exit::Success)
}

async fn read(kind: &Kind, client: &ManagementClient, key: &[&str]) -> Result<(Value, String), Error> {
    let reply = client.get(&kind.path(key)).await?;
    let record: Value = reply.json()?;
    if !record.is_object() {
        return Err(Error::Incomplete { url: reply.url, missing: "the record" });
    }
    match reply.header(header::ETAG) {
        Some(tag) => Ok((record, tag.to_owned())),
        None => Err(Error::Incomplete { url: reply.url, missing: "the ETag header" }),
    }
}

/// Creates a record, or all records of an array.
pub(crate) async fn create(
    kind: &Kind,
    client: &ManagementClient,
    body: &Value,
    output: Output,
) -> Result<Exit, Error> {
    let keys = match body {
        Value::Array(records) => {
            records.iter().map(|record| kind.key_of(record)).collect::<Result<_, _>>()?
        }
        record => vec![kind.key_of(record)?],
    };
    let reply = client.post(&path(&[kind.collection]), body).await?;
    let tag = reply.header(header::ETAG);
    let created: Vec<Value> = keys.iter().map(|key| key_value(kind, key, tag)).collect();
    output.show(&json!({ "created": created }), || {
        let lines: Vec<String> =
            keys.iter().map(|key| format!("created {}", shown_name(kind, key))).collect();
        lines.join("\n") + "\n"
    })?;
    Ok(Exit::Success)
}

/// Reads a record, changes it and writes it back, unless somebody else was faster.
pub(crate) async fn update(
    kind: &Kind,
    client: &ManagementClient,
    key: &[&str],
    if_match: Option<&str>,
    change: impl FnOnce(&mut Map<String, Value>),
    output: Output,
) -> Result<Exit, Error> {
    let (mut record, tag) = read(kind, client, key).await?;
    if let Some(members) = record.as_object_mut() {
        change(members);
    }
    put(kind, client, key, &record, if_match.unwrap_or(&tag), output).await
}

/// Replaces a record with that of a file: with the tag that was given, or with that of the state which the file was made
/// of. The file tells that state by the read-only members that `get` printed.
pub(crate) async fn replace(
    kind: &Kind,
    client: &ManagementClient,
    record: &Value,
    if_match: Option<&str>,
    output: Output,
) -> Result<Exit, Error> {
    if !record.is_object() {
        return Err(InputError::Record("the file must hold one record").into());
    }
    let key = kind.key_of(record)?;
    if let Some(tag) = if_match {
        return put(kind, client, &key, record, tag, output).await;
    }
    if record["version"].is_null() {
        return Err(InputError::Record(
            "the file does not say which state it replaces: make it from what `get` prints, with its version, or \
             give --if-match TAG (--if-match '*' for any state)",
        )
        .into());
    }
    let (current, tag) = read(kind, client, &key).await?;
    for member in READ_ONLY {
        if !record[member].is_null() && record[member] != current[member] {
            let (theirs, yours) = (cell_text(&current[member]), cell_text(&record[member]));
            let detail = format!("its {member} is {theirs}, and {yours} in the file");
            return Err(Error::Changed { detail });
        }
    }
    put(kind, client, &key, record, &tag, output).await
}

async fn put(
    kind: &Kind,
    client: &ManagementClient,
    key: &[&str],
    record: &Value,
    tag: &str,
    output: Output,
) -> Result<Exit, Error> {
    let reply = client.put(&kind.path(key), record, tag).await?;
    let updated = key_value(kind, key, reply.header(header::ETAG));
    output.show(&json!({ "updated": updated }), || format!("updated {}\n", shown_name(kind, key)))?;
    Ok(Exit::Success)
}

/// Deletes a record, or all of a client.
pub(crate) async fn delete(
    kind: &Kind,
    client: &ManagementClient,
    key: &[&str],
    if_match: Option<&str>,
    output: Output,
) -> Result<Exit, Error> {
    client.delete(&kind.path(key), if_match).await?;
    // The server does not tell whether there was something.
    let deleted = key_value(kind, key, None);
    output.show(&json!({ "deleted": deleted }), || {
        if key.len() < kind.key.len() {
            format!("no {} of {} is left\n", kind.noun, printable(&key.join(" ")))
        } else {
            format!("{} is gone\n", shown_name(kind, key))
        }
    })?;
    Ok(Exit::Success)
}

fn shown_name(kind: &Kind, key: &[&str]) -> String {
    printable(&kind.name(key))
}

fn key_value(kind: &Kind, key: &[&str], tag: Option<&str>) -> Value {
    let mut members: Map<String, Value> =
        kind.key.iter().zip(key).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    if let Some(tag) = tag {
        members.insert("etag".into(), json!(tag));
    }
    Value::Object(members)
}
