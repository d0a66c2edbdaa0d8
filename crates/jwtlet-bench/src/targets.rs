//! The targets, as functions of the rows.

use serde::Serialize;

use crate::row::Row;

/// A target with what was measured.
#[derive(Serialize, Debug)]
pub(crate) struct Target {
    /// What is asked for.
    pub(crate) asked: String,
    /// What was measured, in words.
    pub(crate) measured: String,
    /// Whether it is met; `None` when a row that it needs was not measured.
    pub(crate) met: Option<bool>,
}

/// What two runs of the same thing may differ by on a machine that does other things too.
const NOISE: f64 = 1.03;

/// All targets.
pub(crate) fn evaluate(rows: &[Row]) -> Vec<Target> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let limit = row("limit");
    let (warm, plain, far) = (row("warm-64"), row("plain-64"), row("warm-256"));
    let (alone, alone_unbatched) = (row("alone"), row("alone-unbatched"));
    let (postgres, million) = (row("postgres"), row("postgres-1m"));
    let (openbao, openbao_unbatched) = (row("openbao"), row("openbao-unbatched"));
    vec![
        reviews("2 ms, 64 connections", warm),
        vault_calls("2 ms, 64 connections", warm),
        ratio(
            "2 ms, 64 connections: server CPU per exchange at most 1/3 of that with cache and batching off",
            ("µs", 1.0 / 3.0),
            warm.zip(plain).map(|(warm, plain)| (warm.server_cpu_us, plain.server_cpu_us)),
        ),
        round_trip("2 ms, 64 connections", 1.0, warm),
        ratio(
            "2 ms, 64 connections: server CPU per exchange at most 4 times that of the limit",
            ("µs", 4.0),
            warm.zip(limit).map(|(warm, limit)| (warm.server_cpu_us, limit.server_cpu_us)),
        ),
        cpu("2 ms, 64 connections", 25.0, warm),
        reviews("20 ms, 256 connections", far),
        vault_calls("20 ms, 256 connections", far),
        round_trip("20 ms, 256 connections", 5.0, far),
        ratio(
            "one connection: p50 no longer than with batching off (3 % is noise)",
            ("ms", NOISE),
            alone.zip(alone_unbatched).map(|(alone, unbatched)| (alone.p50_ms, unbatched.p50_ms)),
        ),
        at_least(
            "PostgreSQL with a million mappings: at least 0.9 times the exchanges per second of a hundred",
            0.9,
            million.zip(postgres),
        ),
        at_least(
            "OpenBao, 64 connections: at least 3 times the exchanges per second of batching off",
            3.0,
            openbao.zip(openbao_unbatched),
        ),
        ratio(
            "OpenBao: its CPU per exchange at most 1/3 of that with batching off",
            ("µs", 1.0 / 3.0),
            openbao.zip(openbao_unbatched).and_then(|(on, off)| on.openbao_cpu_us.zip(off.openbao_cpu_us)),
        ),
    ]
}

fn reviews(load: &str, row: Option<&Row>) -> Target {
    at_most(
        format!("{load}: TokenReviews per exchange at most 0.02"),
        0.02,
        row.and_then(|row| row.reviews_per_exchange),
    )
}

fn vault_calls(load: &str, row: Option<&Row>) -> Target {
    at_most(
        format!("{load}: Vault calls per exchange at most 0.1"),
        0.1,
        row.and_then(|row| row.vault_calls_per_exchange),
    )
}

fn at_most(asked: String, bound: f64, measured: Option<f64>) -> Target {
    let met = measured.map(|value| value <= bound);
    Target { asked, measured: measured.map_or_else(missing, |value| format!("{value:.4}")), met }
}

fn cpu(load: &str, most_us: f64, row: Option<&Row>) -> Target {
    let measured = row.map(|row| row.server_cpu_us);
    Target {
        asked: format!("{load}: server CPU per exchange at most {most_us} µs"),
        measured: measured.map_or_else(missing, |cpu| format!("{cpu:.1} µs")),
        met: measured.map(|cpu| cpu <= most_us),
    }
}

/// The round trip is measured, not set: it holds the signature and the call itself as well.
fn round_trip(load: &str, slack_ms: f64, row: Option<&Row>) -> Target {
    let asked = format!("{load}: p50 at most one Vault round trip + {slack_ms} ms");
    let measured = row.and_then(|row| Some((row.p50_ms, row.vault_round_trip_ms?)));
    let met = measured.map(|(p50, round_trip)| p50 <= round_trip + slack_ms);
    let words = |(p50, round_trip)| format!("{p50:.2} ms, with a round trip of {round_trip:.2} ms");
    Target { asked, measured: measured.map_or_else(missing, words), met }
}

fn ratio(asked: &str, (unit, bound): (&str, f64), measured: Option<(f64, f64)>) -> Target {
    let met = measured.map(|(value, base)| value <= base * bound);
    let words = |(value, base)| format!("{value:.2} {unit} against {base:.2} {unit}: {:.2}", value / base);
    Target { asked: asked.to_owned(), measured: measured.map_or_else(missing, words), met }
}

fn at_least(asked: &str, factor: f64, rows: Option<(&Row, &Row)>) -> Target {
    let measured = rows.map(|(row, base)| (row.per_second, base.per_second));
    let words = |(row, base)| format!("{row:.0}/s against {base:.0}/s: {:.2}", row / base);
    Target {
        asked: asked.to_owned(),
        measured: measured.map_or_else(missing, words),
        met: measured.map(|(row, base)| row >= base * factor),
    }
}

fn missing() -> String {
    "not measured".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_its_rows_is_neither_met_nor_missed() {
        assert!(evaluate(&[]).iter().all(|target| target.met.is_none()));
    }

    #[test]
    fn a_ratio_is_met_at_its_bound_and_not_beyond() {
        assert_eq!(ratio("", ("µs", 0.5), Some((10.0, 20.0))).met, Some(true));
        assert_eq!(ratio("", ("µs", 0.5), Some((10.1, 20.0))).met, Some(false));
    }
}
