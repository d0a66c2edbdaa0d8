//! The results as Markdown and as JSON.

use std::{fmt::Write, fs, process::Command};

use serde::{Deserialize, Serialize};

use crate::{endurance::Endurance, row::Row, verdict::Target};

/// Everything from one run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: u16,
    /// How long rows are measured that are repeated.
    pub(crate) seconds_per_round: u16,
    /// How long rows are measured that are not.
    pub(crate) seconds_once: u16,
    pub(crate) rows: Vec<Row>,
    pub(crate) endurance: Option<Endurance>,
    pub(crate) targets: Vec<Target>,
}

/// Where and of what the figures are.
#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    memory_gib: u64,
    kernel: String,
    commit: String,
    profile: String,
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
            profile: if cfg!(debug_assertions) { "debug: not for the record" } else { "release" }.to_owned(),
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
    /// What the HTTP stack alone does with so many connections, or with 64 where that was not measured.
    pub(crate) fn limit(&self, connections: usize) -> Option<&Row> {
        let limit = |connections: usize| {
            let name = format!("limit-{connections}");
            self.rows.iter().find(|row| row.name == name)
        };
        limit(connections).or_else(|| limit(64))
    }

    /// Tables of rows and targets, and below them where they come from.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            self.write_speed(&mut text);
            self.write_costs(&mut text);
        }
        // Writing to a String cannot fail.
        if let Some(Endurance { exchanges, tokens, seconds, rss_before_mib, rss_half_mib, rss_end_mib }) =
            self.endurance
        {
            let _ = writeln!(
                text,
                "Endurance: {exchanges} exchanges over {tokens} tokens in {seconds:.0} s; RSS {rss_before_mib:.1} MiB \
                 before, {rss_half_mib:.1} MiB after half of them, {rss_end_mib:.1} MiB after all.\n"
            );
        }
        let Machine { cpu, cpus, memory_gib, kernel, commit, profile } = &self.machine;
        let _ = writeln!(
            text,
            "{cpu}, {cpus} CPUs shared by all processes, {memory_gib} GiB, Linux {kernel}; commit {commit}, {profile}.\n",
        );
        text.push_str("| target | measured | |\n| --- | --- | --- |\n");
        for Target { asked, measured, met, .. } in &self.targets {
            let verdict = met.map_or("–", |met| if met { "met" } else { "**not met**" });
            let _ = writeln!(text, "| {asked} | {measured} | {verdict} |");
        }
        text
    }

    fn write_speed(&self, text: &mut String) {
        text.push_str(
            "| row | connections | latency ms | settings | exchanges/s | × limit | p50 ms | p90 ms | p99 ms | p99.9 ms |\n\
             | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let limit = self.limit(row.connections).map(|limit| row.per_second / limit.per_second);
            let cells = [
                row.name.clone(),
                row.connections.to_string(),
                row.latency_ms.map_or("–".to_owned(), |latency| format!("{latency}/{latency}")),
                row.settings.clone(),
                format!("{:.0}", row.per_second),
                optional(limit, 3),
                format!("{:.2}", row.p50_ms),
                format!("{:.2}", row.p90_ms),
                format!("{:.2}", row.p99_ms),
                format!("{:.2}", row.p999_ms),
            ];
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }

    fn write_costs(&self, text: &mut String) {
        text.push_str(
            "\n| row | server CPU µs | × limit | RSS MiB | reviews | Vault calls | load CPU µs | fakes CPU µs \
             | OpenBao CPU µs | disturbing/s |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            let limit = self.limit(row.connections).map(|limit| row.server_cpu_us / limit.server_cpu_us);
            let cells = [
                row.name.clone(),
                format!("{:.1}", row.server_cpu_us),
                optional(limit, 2),
                format!("{:.1}", row.server_rss_mib),
                optional(row.reviews_per_exchange, 4),
                optional(row.vault_calls_per_exchange, 4),
                format!("{:.1}", row.load_cpu_us),
                optional(row.fakes_cpu_us, 1),
                optional(row.openbao_cpu_us, 1),
                optional(row.disturbed_per_second(), 0),
            ];
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        let _ = writeln!(
            text,
            "\nCPU is user and system time of the whole process for each exchange: 1 µs is 0.001 seconds for 1,000 \
             exchanges. Rows that a target needs: of {} round(s) of {} s the one of median p50; the others: {} s once.\n",
            self.rounds, self.seconds_per_round, self.seconds_once
        );
    }
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog, targets};

    fn report() -> Report {
        let rows: Vec<_> = catalog::all().iter().map(Row::sample).collect();
        Report {
            machine: Machine::here(),
            rounds: 1,
            seconds_per_round: 1,
            seconds_once: 1,
            targets: targets::evaluate(&rows, None),
            rows,
            endurance: None,
        }
    }

    #[test]
    fn both_tables_have_every_row() {
        let text = report().markdown();
        for row in catalog::all() {
            let lines = text.lines().filter(|line| line.starts_with(&format!("| {} |", row.name))).count();
            assert_eq!(lines, 2, "{}", row.name);
        }
    }

    #[test]
    fn a_row_is_compared_with_the_limit_of_as_many_connections() {
        let report = report();
        assert_eq!(report.limit(256).map(|row| &*row.name), Some("limit-256"));
        assert_eq!(report.limit(32).map(|row| &*row.name), Some("limit-64"));
    }

    #[test]
    fn a_result_can_be_read_again() {
        let report = report();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap().markdown(), report.markdown());
    }
}
