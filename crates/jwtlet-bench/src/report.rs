//! The results as Markdown and as JSON.

use std::{fmt::Write, fs, process::Command};

use serde::Serialize;

use crate::{row::Row, targets::Target};

/// Everything from one run.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: u16,
    pub(crate) seconds_per_round: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) targets: Vec<Target>,
}

/// Where and of what the figures are.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    memory_gib: u64,
    kernel: String,
    commit: String,
    profile: &'static str,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kib =
            field(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: kib.unwrap_or(0_u64) / (1024 * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            profile: if cfg!(debug_assertions) { "debug: not for the record" } else { "release" },
        }
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

impl Report {
    /// Tables of rows and targets, and below them where they come from.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| row | connections | latency ms | settings | exchanges/s | p50 ms | p90 ms | p99 ms | p99.9 ms \
             | server CPU µs | × limit | RSS MiB | reviews | Vault calls | OpenBao CPU µs |\n\
             | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        let limit = self.rows.iter().find(|row| row.name == "limit").map(|row| row.server_cpu_us);
        // Writing to a String cannot fail.
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row, limit));
        }
        let Machine { cpu, cpus, memory_gib, kernel, commit, profile } = &self.machine;
        let _ = write!(
            text,
            "\nEach figure is per exchange where that makes sense; CPU is user and system time of the whole process. \
             Of {rounds} round(s) of {seconds} s the one of median p50.\n\n\
             {cpu}, {cpus} CPUs shared by all processes, {memory_gib} GiB, Linux {kernel}; commit {commit}, {profile}.\n\n\
             | target | measured | |\n| --- | --- | --- |\n",
            rounds = self.rounds,
            seconds = self.seconds_per_round,
        );
        for Target { asked, measured, met } in &self.targets {
            let verdict = met.map_or("–", |met| if met { "met" } else { "**not met**" });
            let _ = writeln!(text, "| {asked} | {measured} | {verdict} |");
        }
        text
    }
}

fn line(row: &Row, limit: Option<f64>) -> String {
    let optional =
        |value: Option<f64>, digits| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let times_limit = limit.map(|limit| row.server_cpu_us / limit);
    let cells = [
        row.name.to_owned(),
        row.connections.to_string(),
        row.latency_ms.map_or("–".to_owned(), |latency| format!("{latency}/{latency}")),
        row.settings.clone(),
        format!("{:.0}", row.per_second),
        format!("{:.2}", row.p50_ms),
        format!("{:.2}", row.p90_ms),
        format!("{:.2}", row.p99_ms),
        format!("{:.2}", row.p999_ms),
        format!("{:.1}", row.server_cpu_us),
        optional(times_limit, 2),
        format!("{:.1}", row.server_rss_mib),
        optional(row.reviews_per_exchange, 4),
        optional(row.vault_calls_per_exchange, 4),
        optional(row.openbao_cpu_us, 1),
    ];
    format!("| {} |", cells.join(" | "))
}
