//! Two results side by side: do their ratios agree?
//!
//! Figures of two runs do not compare, because the machine does other things too. What does compare is each figure
//! divided by that of the limit of its own run, and the ratios that targets ask for.

use std::{fmt::Write, fs, path::Path};

use crate::{error::BenchError, report::Report};

/// By how much a ratio of one run may differ from that of the other.
pub(crate) const TOLERANCE: f64 = 0.15;

/// A ratio of both runs.
#[derive(Debug, PartialEq)]
struct Pair {
    name: String,
    first: f64,
    second: f64,
}

impl Pair {
    /// How much the greater is above the smaller: it does not matter which run came first.
    fn difference(&self) -> f64 {
        self.first.max(self.second) / self.first.min(self.second) - 1.0
    }

    fn agrees(&self) -> bool {
        // Not a number, where a figure is zero, is no agreement.
        self.difference() <= TOLERANCE
    }
}

/// Prints all ratios that both results have; false when one differs by more than [`TOLERANCE`].
pub(crate) fn run(first: &Path, second: &Path) -> Result<bool, BenchError> {
    let pairs = pairs(&read(first)?, &read(second)?);
    print!("{}", table(&pairs));
    if pairs.is_empty() {
        eprintln!("the two results have no ratio in common");
    }
    Ok(!pairs.is_empty() && pairs.iter().all(Pair::agrees))
}

fn read(path: &Path) -> Result<Report, BenchError> {
    let text = fs::read_to_string(path).map_err(|cause| BenchError::Unreadable(path.to_owned(), cause))?;
    serde_json::from_str(&text).map_err(|cause| BenchError::NoResult(path.to_owned(), cause))
}

fn pairs(first: &Report, second: &Report) -> Vec<Pair> {
    let second = ratios(second);
    let pair = |(name, first)| {
        let (_, second) = second.iter().find(|(other, _)| *other == name)?;
        Some(Pair { name, first, second: *second })
    };
    ratios(first).into_iter().filter_map(pair).collect()
}

/// The ratios of one run with their names.
fn ratios(report: &Report) -> Vec<(String, f64)> {
    let mut ratios = Vec::new();
    for row in report.rows.iter().filter(|row| !row.name.starts_with("limit-")) {
        let Some(limit) = report.limit(row.connections) else { continue };
        ratios.push((format!("{}: exchanges/s × limit", row.name), row.per_second / limit.per_second));
        ratios.push((format!("{}: server CPU × limit", row.name), row.server_cpu_us / limit.server_cpu_us));
    }
    let targets = report.targets.iter().filter_map(|target| Some((target.asked.clone(), target.ratio?)));
    ratios.extend(targets);
    ratios
}

fn table(pairs: &[Pair]) -> String {
    let mut text =
        String::from("| ratio | first | second | difference | |\n| --- | ---: | ---: | ---: | --- |\n");
    for pair in pairs {
        let Pair { name, first, second } = pair;
        let verdict = if pair.agrees() { "within 15 %" } else { "**differs**" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {name} | {first:.3} | {second:.3} | {:.1} % | {verdict} |",
            pair.difference() * 100.0
        );
    }
    let differing = pairs.iter().filter(|pair| !pair.agrees()).count();
    let _ = writeln!(text, "\n{differing} of {} ratios differ by more than 15 %.", pairs.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(first: f64, second: f64) -> Pair {
        Pair { name: "x".to_owned(), first, second }
    }

    #[test]
    fn the_order_of_the_runs_does_not_matter() {
        assert!(pair(1.0, 1.149).agrees() && pair(1.149, 1.0).agrees());
        assert!(!pair(1.0, 1.16).agrees() && !pair(1.16, 1.0).agrees());
    }

    #[test]
    fn nothing_agrees_with_zero() {
        assert!(!pair(0.0, 1.0).agrees() && !pair(0.0, 0.0).agrees());
    }

    #[test]
    fn the_table_names_what_differs() {
        let text = table(&[pair(1.0, 1.1), pair(2.0, 1.0)]);
        assert!(text.contains("| x | 1.000 | 1.100 | 10.0 % | within 15 % |"), "{text}");
        assert!(text.contains("| x | 2.000 | 1.000 | 100.0 % | **differs** |"), "{text}");
        assert!(text.ends_with("1 of 2 ratios differ by more than 15 %.\n"), "{text}");
    }
}
