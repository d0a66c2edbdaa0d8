//! All rows.

use jwtlet_testkit::KeyType;

use crate::{
    disturbance::Disturbance,
    scenario::{Order, Pace, Repeat, Scenario, Setup, Storage, Subject, Tuning, VaultKind},
};

/// The row that most others differ from in one thing.
pub(crate) const REFERENCE: &str = "warm-64-2ms";
/// The numbers of connections of the matrix.
pub(crate) const CONNECTIONS: [usize; 5] = [1, 16, 64, 256, 1024];
/// The latencies of the matrix, of each call of both neighbours, in milliseconds.
pub(crate) const LATENCIES_MS: [u64; 3] = [0, 2, 20];
/// The rows in the order in which they are measured: what is compared stands together.
pub(crate) fn all() -> Vec<Scenario> {
    let mut rows = vec![
        reference(),
        Scenario { pace: Pace::HalfOf(REFERENCE), ..named("half-64-2ms") },
        limit(64),
        with("plain-64", |setup| setup.tuning = Tuning::Plain),
        with("sqlite", |setup| setup.storage = Storage::Sqlite),
        with("postgres", |setup| setup.storage = Storage::Postgres),
        mappings("mappings-10", Storage::Postgres, 10, 10),
        mappings("mappings-1m", Storage::Postgres, 1000, 1_000_000),
        Scenario { scopes: 60, ..named("scopes-60") },
        Scenario { order: Order::Once, ..named("cold") },
        openbao("openbao", Tuning::Default),
        openbao("openbao-unbatched", Tuning::Unbatched),
    ];
    rows.extend(matrix());
    rows.extend([
        Scenario { repeat: Repeat::InTurn, connections: 1, quick: false, ..unbatched() },
        once(mappings("mappings-10k", Storage::Postgres, 1000, 10_000)),
        once(mappings("memory-10k", Storage::Memory, 1000, 10_000)),
        Scenario { quick: true, ..once(with("es256", |setup| setup.key = KeyType::EcdsaP256)) },
        once(with("rs256", |setup| setup.key = KeyType::Rsa2048)),
    ]);
    rows.extend(Disturbance::ALL.map(disturbed));
    rows
}

/// The row itself: 64 connections, 2 ms in both neighbours, everything else as it is by default.
pub(crate) fn reference() -> Scenario {
    named(REFERENCE)
}

/// Whoever asks for a row also gets those that its figures refer to.
pub(crate) fn select(names: &[String]) -> Result<Vec<Scenario>, Vec<String>> {
    let rows = all();
    if names.iter().any(|name| rows.iter().all(|row| row.name != *name)) {
        return Err(rows.into_iter().map(|row| row.name).collect());
    }
    let asked = |name: &str| names.iter().any(|asked| asked == name);
    let needs_reference =
        rows.iter().any(|row| asked(&row.name) && (row.disturbance.is_some() || row.pace != Pace::Closed));
    let needed = |row: &Scenario| asked(&row.name) || (needs_reference && row.name == REFERENCE);
    Ok(rows.into_iter().filter(needed).collect())
}

/// Warm exchanges by connections and latency, and the limit by connections. The reference row and the limit at 64 stand
/// elsewhere.
fn matrix() -> impl Iterator<Item = Scenario> {
    let decides = [(256, 0), (256, 2), (256, 20), (1024, 0), (1024, 20)];
    let quick = [(1, 2), (64, 0), (256, 0), (256, 2), (256, 20)];
    CONNECTIONS
        .into_iter()
        .flat_map(move |connections| {
            let warm = move |latency_ms| {
                let row = with(&format!("warm-{connections}-{latency_ms}ms"), |setup| {
                    setup.latency_ms = latency_ms;
                });
                let repeat = match (connections, latency_ms) {
                    (1, 2) => Repeat::InTurn,
                    point if decides.contains(&point) => Repeat::Rounds,
                    _ => Repeat::Once,
                };
                Scenario { connections, repeat, quick: quick.contains(&(connections, latency_ms)), ..row }
            };
            let limit = Scenario { repeat: Repeat::Once, quick: false, ..limit(connections) };
            LATENCIES_MS.map(warm).into_iter().chain([limit])
        })
        .filter(|row| row.name != REFERENCE && row.name != "limit-64")
}

fn named(name: &str) -> Scenario {
    Scenario {
        name: name.to_owned(),
        connections: 64,
        clients: 100,
        tokens: 100,
        order: Order::Cycle,
        scopes: 1,
        pace: Pace::Closed,
        disturbance: None,
        subject: Subject::Server(DEFAULT),
        repeat: Repeat::Rounds,
        quick: true,
    }
}

const DEFAULT: Setup = Setup {
    latency_ms: 2,
    vault: VaultKind::Testkit,
    key: KeyType::Ed25519,
    tuning: Tuning::Default,
    storage: Storage::Memory,
    others: 0,
};

fn with(name: &str, change: impl FnOnce(&mut Setup)) -> Scenario {
    let mut setup = DEFAULT;
    change(&mut setup);
    Scenario { subject: Subject::Server(setup), ..named(name) }
}

fn once(row: Scenario) -> Scenario {
    Scenario { repeat: Repeat::Once, quick: false, ..row }
}

fn limit(connections: usize) -> Scenario {
    Scenario { connections, subject: Subject::Limit, ..named(&format!("limit-{connections}")) }
}

fn unbatched() -> Scenario {
    with("unbatched-1", |setup| setup.tuning = Tuning::Unbatched)
}

fn openbao(name: &str, tuning: Tuning) -> Scenario {
    with(name, |setup| {
        (setup.latency_ms, setup.vault, setup.tuning) = (0, VaultKind::OpenBao, tuning);
    })
}

/// So many mappings in all, `clients` of them used in turn. There are always a thousand tokens, so that rows differ in
/// the policy alone.
fn mappings(name: &str, storage: Storage, clients: u16, all: u32) -> Scenario {
    let row = with(name, |setup| {
        setup.storage = storage;
        setup.others = all.saturating_sub(clients.into());
    });
    Scenario { clients: clients.into(), tokens: 1000, quick: false, ..row }
}

fn disturbed(disturbance: Disturbance) -> Scenario {
    Scenario {
        connections: disturbance.good_connections(),
        disturbance: Some(disturbance),
        repeat: Repeat::Once,
        quick: disturbance == Disturbance::Junk,
        ..named(disturbance.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let rows = all();
        let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len());
    }

    #[test]
    fn the_matrix_is_whole() {
        let names: BTreeSet<_> = all().into_iter().map(|row| row.name).collect();
        for connections in CONNECTIONS {
            assert!(names.contains(&format!("limit-{connections}")), "{connections}");
            for latency_ms in LATENCIES_MS {
                assert!(
                    names.contains(&format!("warm-{connections}-{latency_ms}ms")),
                    "{connections} {latency_ms}"
                );
            }
        }
    }

    #[test]
    fn a_row_comes_with_the_one_that_it_refers_to() {
        let names = |asked: &str| -> Vec<_> {
            select(&[asked.to_owned()]).unwrap().into_iter().map(|row| row.name).collect()
        };
        assert_eq!(names("half-64-2ms"), [REFERENCE, "half-64-2ms"]);
        assert_eq!(names("junk"), [REFERENCE, "junk"]);
        assert_eq!(names("sqlite"), ["sqlite"]);
        assert!(select(&["warm".to_owned()]).is_err());
    }
}
