//! The record in the repository, and what a comparison with it says.

use std::{fmt::Write as _, fs};

use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// Relative to the directory of this crate, where the source is.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");
/// How the file is called in messages.
const NAME: &str = "crates/jwtlet-bench/instructions.json";
/// The command that writes it.
const COMMAND: &str = "cargo run -p jwtlet-bench -- profile --record";

/// How far a count may be from its record, in percent.
const MARGIN_PERCENT: u64 = 10;

/// Instructions of one warm exchange.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) alone: u64,
    pub(super) in_a_batch_of_64: u64,
    /// The version that counted. Another one may emulate another processor.
    pub(super) valgrind: String,
}

/// What a comparison says.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) text: String,
    /// Whether no figure is above its margin.
    pub(super) holds: bool,
}

/// Where a count is, seen from its record.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Within,
    Above,
    Below,
}

impl Counts {
    /// The record.
    pub(super) fn recorded() -> Result<Self, BenchError> {
        let text = fs::read_to_string(FILE).map_err(|cause| BenchError::File("read the record", cause))?;
        serde_json::from_str(&text).map_err(|cause| BenchError::Garbled("the record of instructions", cause))
    }

    /// Makes these counts the record, and tells what was written.
    pub(super) fn record(&self) -> Result<String, BenchError> {
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|cause| BenchError::Garbled("this process", cause))? + "\n";
        fs::write(FILE, &json).map_err(|cause| BenchError::File("write the record", cause))?;
        Ok(json)
    }

    /// Compares counts of today with this record.
    pub(super) fn compare(&self, now: &Self) -> Comparison {
        let figures = [
            ("alone", self.alone, now.alone),
            ("in_a_batch_of_64", self.in_a_batch_of_64, now.in_a_batch_of_64),
        ];
        let mut text = String::new();
        let mut verdicts = Vec::with_capacity(figures.len());
        for (name, recorded, now) in figures {
            let verdict = verdict(recorded, now);
            let change = change_percent(recorded, now);
            let _ = writeln!(
                text,
                "{name}: {now} instructions for each exchange, recorded {recorded}: {change:+.1} %{}",
                verdict.words()
            );
            verdicts.push(verdict);
        }
        let holds = !verdicts.contains(&Verdict::Above);
        if !holds {
            let _ = writeln!(
                text,
                "an exchange costs over {MARGIN_PERCENT} % more than {NAME} says. Find the cost (docs/performance.md, \
                 \"The profile that CI keeps\") and take it back; or, where it is worth it, run `{COMMAND}` and commit \
                 the file with the reason"
            );
            if self.valgrind != now.valgrind {
                let _ =
                    writeln!(text, "{} counted the record and {} counts now", self.valgrind, now.valgrind);
            }
        } else if verdicts.contains(&Verdict::Below) {
            let _ = writeln!(text, "run `{COMMAND}` and commit {NAME}, so that what was won is kept");
        }
        Comparison { text, holds }
    }
}

impl Verdict {
    fn words(&self) -> &'static str {
        match self {
            Self::Within => "",
            Self::Above => ", TOO MUCH",
            Self::Below => ", much less",
        }
    }
}

fn verdict(recorded: u64, now: u64) -> Verdict {
    let now = now.saturating_mul(100);
    if now > recorded.saturating_mul(100 + MARGIN_PERCENT) {
        Verdict::Above
    } else if now < recorded.saturating_mul(100 - MARGIN_PERCENT) {
        Verdict::Below
    } else {
        Verdict::Within
    }
}

/// For the reader only.
#[expect(clippy::cast_precision_loss, reason = "counts of one exchange are far below 2^53")]
fn change_percent(recorded: u64, now: u64) -> f64 {
    (now as f64 / recorded as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(alone: u64, in_a_batch_of_64: u64) -> Counts {
        Counts { alone, in_a_batch_of_64, valgrind: "valgrind-3.19.0".to_owned() }
    }

    #[test]
    fn a_tenth_more_is_allowed_and_one_instruction_beyond_is_not() {
        let record = counts(1000, 500);
        assert!(record.compare(&counts(1100, 550)).holds);
        let comparison = record.compare(&counts(1000, 551));
        assert!(!comparison.holds);
        assert!(
            comparison
                .text
                .contains("in_a_batch_of_64: 551 instructions for each exchange, recorded 500: +10.2 %"),
            "{}",
            comparison.text
        );
        assert!(comparison.text.contains("profile --record"), "{}", comparison.text);
    }

    #[test]
    fn much_less_is_told_and_holds() {
        let record = counts(1000, 500);
        let comparison = record.compare(&counts(899, 500));
        assert!(comparison.holds);
        assert!(comparison.text.contains("-10.1 %, much less"), "{}", comparison.text);
        assert!(!record.compare(&counts(900, 450)).text.contains("much less"));
    }

    #[test]
    fn another_valgrind_is_named_when_the_record_does_not_hold() {
        let now = Counts { valgrind: "valgrind-3.26.0".to_owned(), ..counts(2000, 500) };
        let text = counts(1000, 500).compare(&now).text;
        assert!(text.contains("valgrind-3.19.0 counted the record and valgrind-3.26.0 counts now"), "{text}");
    }

    #[test]
    fn the_record_in_the_repository_can_be_read() {
        let record = Counts::recorded().unwrap();
        assert!(
            record.alone > record.in_a_batch_of_64,
            "a call to Vault of one's own costs more than a shared one"
        );
    }
}
