//! A review of the policy.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    client::path,
    error::Error,
    exit::Exit,
    output::{Output, Tone, cell_text, note},
    settings::Settings,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// At most so many findings, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// From which severity on findings are a failure
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Severity::Error)]
    fail_on: Severity,
}

/// How much a finding matters, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Severity {
    /// Worth knowing
    Info,
    /// A request fails or will fail, or gets less than it seems
    Warning,
    /// What is written does not take effect
    Error,
}

impl Severity {
    /// Of a finding. A severity that is not known here is looked at like an error.
    fn of(finding: &Value) -> Self {
        match finding["severity"].as_str() {
            Some("info") => Self::Info,
            Some("warning") => Self::Warning,
            _ => Self::Error,
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Info => Tone::Plain,
            Self::Warning => Tone::Warning,
            Self::Error => Tone::Bad,
        }
    }
}

pub(crate) async fn run(arguments: &Arguments, settings: &Settings, output: Output) -> Result<Exit, Error> {
    let path = format!("{}?limit={}", path(&["lint"]), arguments.limit);
    let reply = settings.management()?.get(&path).await?;
    let report: Value = reply.json()?;
    let Some(findings) = report["findings"].as_array() else {
        return Err(Error::Incomplete { url: reply.url, missing: "findings" });
    };
    output.show(&report, || table(findings, output))?;
    if report["truncated"] == true {
        note("there are more findings than --limit allows");
    }
    let worst = findings.iter().map(Severity::of).max();
    Ok(match worst {
        Some(worst) if worst >= arguments.fail_on => Exit::No,
        Some(Severity::Warning | Severity::Error) => Exit::Warnings,
        Some(Severity::Info) | None => Exit::Success,
    })
}

fn table(findings: &[Value], output: Output) -> String {
    if findings.is_empty() {
        return format!("{}\n", output.paint(Tone::Good, "nothing is odd"));
    }
    let mut table = output.table(&["SEVERITY", "KIND", "MESSAGE"]);
    for finding in findings {
        let cells = ["severity", "kind", "message"].map(|member| cell_text(&finding[member]));
        table.toned_row(Severity::of(finding).tone(), &cells);
    }
    table.finish()
}
