//! The targets, as functions of what was measured.

use crate::{
    catalog::REFERENCE,
    disturbance::Disturbance,
    endurance::Endurance,
    row::Row,
    verdict::{
        Bound::{AtLeast, AtMost},
        Target,
    },
};

/// What two runs of the same thing may differ by on a machine that does other things too.
const NOISE: f64 = 1.03;
/// What is under way when a measurement begins and ends, as a part of all.
const EDGES: f64 = 1.01;
/// 60 MB in MiB.
const MAX_RSS_MIB: f64 = 60e6 / (1024.0 * 1024.0);
/// 200 MB in MiB.
const MAX_CROWD_RSS_MIB: f64 = 200e6 / (1024.0 * 1024.0);
/// Pages that come and go, in MiB. A single byte kept for each exchange would be five of them.
const RSS_NOISE_MIB: f64 = 1.0;

/// All targets.
pub(crate) fn evaluate(rows: &[Row], endurance: Option<&Endurance>) -> Vec<Target> {
    let rows = Rows(rows);
    let mut targets = upstream(&rows, REFERENCE, 1.0);
    targets.extend(upstream(&rows, "warm-256-20ms", 5.0));
    targets.extend(cost(&rows));
    targets.extend(throughput(&rows));
    targets.extend(shapes(&rows));
    targets.extend(batching(&rows));
    targets.extend(Disturbance::ALL.map(|disturbance| disturbed(&rows, disturbance)));
    targets.push(crowd(&rows));
    targets.extend(memory(endurance));
    targets
}

/// The rows by name.
struct Rows<'a>(&'a [Row]);

type Figure = fn(&Row) -> f64;

const PER_SECOND: Figure = |row| row.per_second;
const SERVER_CPU: Figure = |row| row.server_cpu_us;

impl Rows<'_> {
    fn get(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.name == name)
    }

    fn figure(&self, name: &str, figure: Figure) -> Option<f64> {
        self.get(name).map(figure)
    }

    /// The figure of one row and that of another.
    fn pair(&self, name: &str, base: &str, figure: Figure) -> Option<(f64, f64)> {
        self.figure(name, figure).zip(self.figure(base, figure))
    }

    fn throughput(&self, asked: &str, name: &str, base: &str, at_least: f64) -> Target {
        Target::ratio(asked, ("/s", 0), AtLeast(at_least), self.pair(name, base, PER_SECOND))
    }
}

/// What a warm exchange asks of its neighbours, and what waiting for them costs. The round trip is measured, not set: it
/// holds the signature and the call itself as well.
fn upstream(rows: &Rows, name: &str, slack_ms: f64) -> Vec<Target> {
    let row = rows.get(name);
    let wait = row.and_then(|row| Some((row.p50_ms, row.vault_round_trip_ms?)));
    let words = |(p50, round_trip)| format!("{p50:.2} ms, with a round trip of {round_trip:.2} ms");
    let round_trip = Target::figure(
        &format!("{name}: p50 at most one Vault round trip + {slack_ms} ms"),
        (" ms", 2),
        AtMost(slack_ms),
        wait.map(|(p50, round_trip)| p50 - round_trip),
    );
    vec![
        Target::figure(
            &format!("{name}: TokenReviews per exchange at most 0.02"),
            ("", 4),
            AtMost(0.02),
            row.and_then(|row| row.reviews_per_exchange),
        ),
        Target::figure(
            &format!("{name}: Vault calls per exchange at most 0.1"),
            ("", 4),
            AtMost(0.1),
            row.and_then(|row| row.vault_calls_per_exchange),
        ),
        Target { measured: wait.map_or(round_trip.measured, words), ..round_trip },
    ]
}

fn cost(rows: &Rows) -> Vec<Target> {
    let stores = [REFERENCE, "sqlite", "postgres"];
    let absolute = stores.map(|name| {
        let asked = format!("{name}: server CPU per exchange at most 25 µs");
        Target::figure(&asked, (" µs", 1), AtMost(25.0), rows.figure(name, SERVER_CPU))
    });
    let relative = stores.map(|name| {
        let asked = format!("{name}: server CPU per exchange at most 4 times that of the limit");
        Target::ratio(&asked, (" µs", 1), AtMost(4.0), rows.pair(name, "limit-64", SERVER_CPU))
    });
    let plain = Target::ratio(
        &format!("{REFERENCE}: server CPU per exchange at most 1/3 of that with cache and batching off"),
        (" µs", 1),
        AtMost(1.0 / 3.0),
        rows.pair(REFERENCE, "plain-64", SERVER_CPU),
    );
    absolute.into_iter().chain(relative).chain([plain]).collect()
}

/// Slow neighbours may cost time, but hardly throughput.
fn throughput(rows: &Rows) -> Vec<Target> {
    vec![
        rows.throughput(
            "256 connections: with 2/2 ms at least 0.9 times the exchanges per second of 0/0 ms",
            "warm-256-2ms",
            "warm-256-0ms",
            0.9,
        ),
        rows.throughput(
            "1024 connections: with 20/20 ms at least 0.7 times the exchanges per second of 0/0 ms",
            "warm-1024-20ms",
            "warm-1024-0ms",
            0.7,
        ),
        Target::figure(
            "half the maximum load, 2/2 ms: p99 under 5 ms",
            (" ms", 2),
            AtMost(5.0_f64.next_down()),
            rows.figure("half-64-2ms", |row| row.p99_ms),
        ),
    ]
}

/// Other tokens, other policies.
fn shapes(rows: &Rows) -> Vec<Target> {
    vec![
        Target::figure(
            "cold tokens: at most one TokenReview each (1 % is under way at the edges)",
            ("", 4),
            AtMost(EDGES),
            rows.get("cold").and_then(|row| row.reviews_per_exchange),
        ),
        rows.throughput(
            "cold tokens: at least 0.25 times the exchanges per second of warm ones",
            "cold",
            REFERENCE,
            0.25,
        ),
        rows.throughput(
            "PostgreSQL, a million mappings: at least 0.9 times the exchanges per second of ten",
            "mappings-1m",
            "mappings-10",
            0.9,
        ),
        rows.throughput(
            "60 scopes: at least 0.6 times the exchanges per second of one",
            "scopes-60",
            REFERENCE,
            0.6,
        ),
    ]
}

/// What batching gains with many callers, and that it costs one caller nothing.
fn batching(rows: &Rows) -> Vec<Target> {
    let openbao = rows.get("openbao").zip(rows.get("openbao-unbatched"));
    vec![
        Target::ratio(
            "one connection: p50 no longer than with batching off (3 % is noise)",
            (" ms", 2),
            AtMost(NOISE),
            rows.pair("warm-1-2ms", "unbatched-1", |row| row.p50_ms),
        ),
        rows.throughput(
            "OpenBao, 64 connections: at least 3 times the exchanges per second of batching off",
            "openbao",
            "openbao-unbatched",
            3.0,
        ),
        Target::ratio(
            "OpenBao: its CPU per exchange at most 0.3 times that with batching off",
            (" µs", 1),
            AtMost(0.3),
            openbao.and_then(|(on, off)| on.openbao_cpu_us.zip(off.openbao_cpu_us)),
        ),
    ]
}

fn disturbed(rows: &Rows, disturbance: Disturbance) -> Target {
    let name = disturbance.name();
    let asked = format!("{name}: p99 of the good clients at most twice that of {REFERENCE}");
    let tails = rows.pair(name, REFERENCE, |row| row.p99_ms);
    Target::ratio(&asked, (" ms", 2), AtMost(2.0), tails).not_compared()
}

/// Those who ask for nothing take no room to speak of.
fn crowd(rows: &Rows) -> Target {
    let name = Disturbance::Crowd.name();
    let asked = format!("{name}: RSS under 200 MB ({MAX_CROWD_RSS_MIB:.1} MiB)");
    let resident = rows.figure(name, |row| row.server_rss_mib);
    Target::figure(&asked, (" MiB", 1), AtMost(MAX_CROWD_RSS_MIB.next_down()), resident)
}

fn memory(endurance: Option<&Endurance>) -> Vec<Target> {
    let exchanges = endurance.map_or(Endurance::EXCHANGES, |endurance| endurance.exchanges);
    vec![
        Target::figure(
            &format!("endurance: RSS under 60 MB ({MAX_RSS_MIB:.1} MiB) after {exchanges} exchanges"),
            (" MiB", 1),
            AtMost(MAX_RSS_MIB.next_down()),
            endurance.map(|endurance| endurance.rss_end_mib),
        ),
        Target::figure(
            "endurance: RSS grows by no more than 1 MiB in the second half",
            (" MiB", 2),
            AtMost(RSS_NOISE_MIB),
            endurance.map(|endurance| endurance.rss_end_mib - endurance.rss_half_mib),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog;

    #[test]
    fn a_target_without_its_rows_is_neither_met_nor_missed() {
        assert!(evaluate(&[], None).iter().all(|target| target.met.is_none()));
    }

    #[test]
    fn every_target_finds_its_rows_in_the_catalog() {
        let rows: Vec<_> = catalog::all().iter().map(Row::sample).collect();
        let endurance = Endurance {
            exchanges: 10,
            tokens: 1,
            seconds: 1.0,
            rss_before_mib: 20.0,
            rss_half_mib: 30.0,
            rss_end_mib: 31.0,
        };
        let unmeasured: BTreeSet<_> = evaluate(&rows, Some(&endurance))
            .into_iter()
            .filter(|target| target.met.is_none())
            .map(|target| target.asked)
            .collect();
        assert_eq!(unmeasured, BTreeSet::new());
    }

    #[test]
    fn memory_may_not_grow() {
        let grown = Endurance {
            exchanges: 10,
            tokens: 1,
            seconds: 1.0,
            rss_before_mib: 20.0,
            rss_half_mib: 30.0,
            rss_end_mib: 31.5,
        };
        let met: Vec<_> = memory(Some(&grown)).into_iter().map(|target| target.met).collect();
        assert_eq!(met, [Some(true), Some(false)]);
    }
}
