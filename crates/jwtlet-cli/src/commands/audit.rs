//! The audit trail: read, and followed from end to end.

use clap::{Args, Subcommand};
use jwtlet_core::audit::Hash;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    client::{Listed, ManagementClient, path},
    error::Error,
    exit::Exit,
    output::{Output, Tone, cell_text, note},
    settings::Settings,
};

/// How many records are followed at a time.
const PAGE: u16 = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists audit records, the newest first
    List(Box<List>),
    /// Follows the chain of hashes from end to end, on the server and again here
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this caller, such as system:serviceaccount:NAMESPACE:NAME
    #[arg(long, value_name = "IDENTITY")]
    actor: Option<String>,
    /// Only those of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only those of this apply, whose id `policy apply` printed
    #[arg(long, value_name = "ID")]
    apply_id: Option<String>,
    /// Only those of this action, such as mapping.create
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only those with this outcome: applied or refused
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only those about mappings of this client
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only those about mappings for this participant context
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Only those about this scope mapping
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Only those of this time and later, such as 2027-01-31T09:30:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many records, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// All records, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Where to go on, as the page before said
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The number of a record whose hash was noted earlier
    #[arg(long, value_name = "NUMBER", requires = "hash")]
    sequence: Option<u64>,
    /// The hash that was noted for it: the chain has to pass through it
    #[arg(long, value_name = "HASH", requires = "sequence")]
    hash: Option<Hash>,
    /// Believes the server, and does not compute the hashes of all records here
    #[arg(long)]
    no_recompute: bool,
}

pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<Exit, Error> {
    match command {
        Command::List(arguments) => list(*arguments, &settings.management()?, output).await,
        Command::Verify(arguments) => verify(&arguments, &settings.management()?, output).await,
    }
}

async fn list(arguments: List, client: &ManagementClient, output: Output) -> Result<Exit, Error> {
    let filters = [
        ("actor", &arguments.actor),
        ("requestId", &arguments.request_id),
        ("applyId", &arguments.apply_id),
        ("action", &arguments.action),
        ("outcome", &arguments.outcome),
        ("clientIdentifier", &arguments.client),
        ("participantContext", &arguments.context),
        ("scope", &arguments.scope),
        ("from", &arguments.from),
        ("until", &arguments.until),
    ];
    let filters: Vec<_> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    let path = path(&["audit"]);
    let listed: Listed<Value> = if arguments.all {
        client.all(&path, &filters, arguments.cursor).await?
    } else {
        client.fitting_page(&path, &filters, arguments.limit, arguments.cursor.as_deref()).await?
    };
    output.show(&json!(listed.items), || table(&listed.items, output))?;
    if let Some(cursor) = listed.next {
        note(&format!("there is more: --cursor {cursor}"));
    }
    Ok(Exit::Success)
}

fn table(records: &[Value], output: Output) -> String {
    let mut table = output.table(&["NUMBER", "TIME", "ACTOR", "ACTION", "RECORD", "OUTCOME", "CHANGE"]);
    for record in records {
        let key = &record["key"];
        let names = ["clientIdentifier", "participantContext", "scope"];
        let key: Vec<String> =
            names.iter().map(|name| cell_text(&key[*name])).filter(|text| !text.is_empty()).collect();
        let change = match record["reason"].as_str() {
            Some(_) => cell_text(&record["reason"]),
            None => changed_members(&record["before"], &record["after"]),
        };
        table.row(&[
            cell_text(&record["sequence"]),
            cell_text(&record["time"]),
            cell_text(&record["actor"]["sub"]),
            cell_text(&record["action"]),
            key.join(" "),
            cell_text(&record["outcome"]),
            change,
        ]);
    }
    table.finish()
}

/// The names of the members that an update changed.
fn changed_members(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return String::new() };
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let is_told = |name: &&String| {
        before.get(*name) != after.get(*name) && !matches!(&***name, "updatedAt" | "version")
    };
    names.into_iter().filter(is_told).map(|name| crate::text::printable(name)).collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Deserialize)]
struct Verdict {
    intact: bool,
    head: Head,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Head {
    sequence: u64,
    hash: Hash,
}

async fn verify(arguments: &Verify, client: &ManagementClient, output: Output) -> Result<Exit, Error> {
    let query = match (arguments.sequence, arguments.hash) {
        (Some(sequence), Some(hash)) => format!("?sequence={sequence}&hash={hash}"),
        _ => String::new(),
    };
    let mut answer: Value = client.get(&format!("{}{query}", path(&["audit", "verify"]))).await?.json()?;
    let verdict = Verdict::deserialize(&answer)
        .map_err(|_| Error::Incomplete { url: path(&["audit", "verify"]), missing: "intact or head" })?;
    let mut broken = (!verdict.intact).then(|| cell_text(&answer["firstBroken"]["reason"]));
    let recompute = verdict.intact && !arguments.no_recompute;
    if recompute {
        broken = follow(client, verdict.head).await?;
        answer["recomputed"] = match &broken {
            None => json!({"intact": true}),
            Some(reason) => json!({"intact": false, "reason": reason}),
        };
    }
    let Head { sequence, hash } = verdict.head;
    output.show(&answer, || match &broken {
        None => {
            let by = if recompute { "by the server and here" } else { "by the server" };
            let text = format!("intact: {sequence} records, followed {by}");
            format!("{}\nhead    --sequence {sequence} --hash {hash}\n", output.paint(Tone::Good, &text))
        }
        Some(reason) => format!("{}\n", output.paint(Tone::Bad, &format!("broken: {reason}"))),
    })?;
    Ok(if broken.is_none() { Exit::Success } else { Exit::No })
}

/// What is checked of a record here. The rest of its text is in its hash.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    sequence: u64,
    previous_hash: Hash,
}

/// Follows the chain from its head back to its beginning, over the texts of the records as the server lists them. Gives
/// what is wrong. What is appended meanwhile comes before the head and is passed over.
async fn follow(client: &ManagementClient, head: Head) -> Result<Option<String>, Error> {
    let path = path(&["audit"]);
    let Head { sequence: mut wanted, mut hash } = head;
    let mut cursor = None;
    while wanted > 0 {
        let page: Listed<Box<RawValue>> = client.fitting_page(&path, &[], PAGE, cursor.as_deref()).await?;
        for record in &page.items {
            let Ok(link) = serde_json::from_str::<Link>(record.get()) else {
                return Ok(Some(format!("a record before {wanted} is not readable here")));
            };
            if link.sequence > wanted {
                continue;
            }
            if link.sequence < wanted || wanted == 0 {
                return Ok(Some(format!("record {wanted} is missing in the list")));
            }
            if Hash::of(record.get()) != hash {
                return Ok(Some(format!("record {wanted} as it is listed does not have its hash")));
            }
            (wanted, hash) = (wanted - 1, link.previous_hash);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(match wanted {
        0 if hash == Hash::GENESIS => None,
        0 => Some("the first record does not begin the chain".into()),
        _ => Some(format!("record {wanted} is missing in the list")),
    })
}
