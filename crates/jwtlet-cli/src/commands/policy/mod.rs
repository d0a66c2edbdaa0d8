//! The policy as documents in files.
//!
//! The server plans and applies, in one transaction; here documents are read and mistakes are told with the place in the
//! file. What was shown to somebody is applied with the digest of that plan, so nothing is overwritten that they have not
//! seen.

mod export;
mod plan;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use jwtlet_core::name::ApplyId;
use serde_json::{Value, json};

use self::plan::Tense;
use crate::{
    cli::Format,
    client::{Applied, ManagementClient},
    documents::{Documents, Mistakes, Trouble},
    error::Error,
    exit::Exit,
    output::{Output, Progress, note},
    settings::Settings,
};

/// What documents look like, for editors.
const SCHEMA: &str = include_str!("../../../../../docs/policy.schema.json");

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the policy, or a part of it, as documents that can be applied
    Export(export::Arguments),
    /// Shows what applying documents would change, field by field; the exit status is 1 when there is something
    Diff(Diff),
    /// Makes the policy what documents say: all of it in one transaction, or nothing
    Apply(Application),
    /// Prints the JSON Schema of documents, with which editors complete and check them
    Schema,
}

/// Which documents, and what they may do.
#[derive(Debug, Args)]
struct Wanted {
    /// A file with documents, a folder whose .yaml and .yml files have them, also in folders below, or `-` for standard
    /// input; may be given several times
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// Deletes what the documents do not have any more, of the owner that all of them carry
    #[arg(long)]
    prune: bool,
    /// Takes over records that belong to others than the documents say
    #[arg(long)]
    take_over: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Args)]
pub(crate) struct Application {
    #[command(flatten)]
    wanted: Wanted,
    /// Shows the plan and changes nothing
    #[arg(long, conflicts_with_all = ["plan_digest", "apply_id", "yes"])]
    dry_run: bool,
    /// Only if the plan is still the one with this digest, which `policy diff` printed
    #[arg(long, value_name = "DIGEST")]
    plan_digest: Option<String>,
    /// What the audit records of the changes have in common, such as the id of a commit; made up without it
    #[arg(long, value_name = "ID", value_parser = ApplyId::parse)]
    apply_id: Option<ApplyId>,
    /// Does not ask on a terminal before something is changed
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(
    command: Command,
    settings: impl FnOnce() -> Result<Settings, Error>,
    output: Output,
) -> Result<Exit, Error> {
    match command {
        Command::Export(arguments) => export::run(&arguments, &settings()?, output).await,
        Command::Diff(Diff { wanted }) => {
            let mut request = Request::read(&wanted)?;
            let plan = request.plan(&settings()?.management()?).await?;
            output.show(&plan, || request.text(&plan, Tense::Would, output))?;
            Ok(if plan::is_empty(&plan) { Exit::Success } else { Exit::No })
        }
        Command::Apply(apply) => apply.run(&settings()?, output).await,
        Command::Schema => {
            output.print(SCHEMA)?;
            Ok(Exit::Success)
        }
    }
}

impl Application {
    async fn run(&self, settings: &Settings, output: Output) -> Result<Exit, Error> {
        let mut request = Request::read(&self.wanted)?;
        let client = settings.management()?;
        if self.dry_run {
            let plan = request.plan(&client).await?;
            output.show(&plan, || request.text(&plan, Tense::Would, output))?;
            return Ok(Exit::Success);
        }
        let mut digest = self.plan_digest.clone().map(Value::from);
        let mut is_shown = false;
        if !self.yes && digest.is_none() && can_ask() {
            let plan = request.plan(&client).await?;
            if !plan::is_empty(&plan) {
                is_shown = output.format == Format::Table && io::stdout().is_terminal();
                if is_shown {
                    output.print(&request.text(&plan, Tense::Would, output))?;
                } else {
                    note(request.text(&plan, Tense::Would, output.plain()).trim_end());
                }
                if !is_wanted() {
                    note("nothing was changed");
                    return Ok(Exit::No);
                }
            }
            digest = Some(plan["planDigest"].clone());
        }
        if let Some(digest) = digest {
            request.set("planDigest", digest);
        }
        if let Some(id) = &self.apply_id {
            request.set("applyId", json!(id));
        }
        let done = request.send(&client, "applying").await?;
        output.show(&done, || {
            if is_shown {
                plan::summary(&done, Tense::Did, output)
            } else {
                request.text(&done, Tense::Did, output)
            }
        })?;
        Ok(Exit::Success)
    }
}

/// An apply in the making.
struct Request {
    documents: Documents,
    body: Value,
}

impl Request {
    fn read(wanted: &Wanted) -> Result<Self, Error> {
        let documents = Documents::read(&wanted.files, &Progress::new())?;
        let mut body = documents.body();
        if wanted.prune {
            body["prune"] = json!(true);
            body["owner"] = json!(documents.owner()?);
        }
        if wanted.take_over {
            body["takeOver"] = json!(true);
        }
        Ok(Self { documents, body })
    }

    fn set(&mut self, member: &str, value: Value) {
        self.body[member] = value;
    }

    /// What would be done.
    async fn plan(&mut self, client: &ManagementClient) -> Result<Value, Error> {
        self.set("dryRun", json!(true));
        let plan = self.send(client, "planning").await;
        self.set("dryRun", json!(false));
        plan
    }

    async fn send(&self, client: &ManagementClient, doing: &str) -> Result<Value, Error> {
        let progress = Progress::new();
        progress.next(&format!("{doing} {} documents", self.documents.len()));
        let mistakes = |errors: Vec<Value>, trouble| {
            let mistakes = errors.iter().map(|error| self.documents.mistake(error)).collect();
            Mistakes { trouble, mistakes }
        };
        match client.apply(&self.body, &progress).await? {
            Applied::Plan(plan) => Ok(plan),
            Applied::Refused { errors, may_be_older } => {
                Err(mistakes(errors, Trouble::Refused { may_be_older }).into())
            }
            Applied::NotOwned(errors) => Err(mistakes(errors, Trouble::NotOwned).into()),
        }
    }

    fn text(&self, plan: &Value, tense: Tense, output: Output) -> String {
        plan::text(plan, &self.documents.places(), tense, output)
    }
}

/// Whether somebody sits there.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to go on. Without an answer it is no.
fn is_wanted() -> bool {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "apply these changes? [y/N] ").and_then(|()| io::stderr().flush());
    let answered = asked.and_then(|()| io::stdin().read_line(&mut answer));
    answered.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
