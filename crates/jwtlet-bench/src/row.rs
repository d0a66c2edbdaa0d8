//! What was measured in one row.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{disturbance::Outcomes, error::BenchError, look::Used, scenario::Scenario};

/// One row of the table. Times of the percentiles are in milliseconds, costs in microseconds of CPU per exchange.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) tokens: usize,
    pub(crate) settings: String,
    pub(crate) exchanges: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// User and system time of the server, or of the limit.
    pub(crate) server_cpu_us: f64,
    /// What that is in CPUs: 1 keeps one of them busy.
    pub(crate) server_cpus: f64,
    pub(crate) load_cpu_us: f64,
    pub(crate) fakes_cpu_us: Option<f64>,
    pub(crate) openbao_cpu_us: Option<f64>,
    pub(crate) disturber_cpu_us: Option<f64>,
    pub(crate) server_rss_mib: f64,
    pub(crate) reviews_per_exchange: Option<f64>,
    /// Of the testkit's Vault; a real one does not count them.
    pub(crate) vault_calls_per_exchange: Option<f64>,
    /// The mean size of a batch, with reads of the key among the calls.
    pub(crate) signatures_per_vault_call: Option<f64>,
    /// One signature with nobody else asking.
    pub(crate) vault_round_trip_ms: Option<f64>,
    /// What became of the requests that disturbed, where some did.
    pub(crate) disturbed: Option<Outcomes>,
    /// The part of all CPU time spent that went to processes that are not part of the measurement.
    pub(crate) foreign_cpu_share: f64,
    pub(crate) tokens_verified: usize,
    pub(crate) answer_bytes: usize,
}

impl Row {
    /// The row of a scenario, without what is known only afterwards.
    pub(crate) fn new(
        scenario: &Scenario,
        latencies: &Histogram<u64>,
        used: &Used,
    ) -> Result<Self, BenchError> {
        let exchanges = latencies.len();
        if exchanges == 0 || used.elapsed.is_zero() {
            return Err(BenchError::Nothing);
        }
        let each = |total: Duration| total.as_secs_f64() * 1e6 / real(exchanges);
        let ratio = |count: u64| real(count) / real(exchanges);
        let quantile = |part| real(latencies.value_at_quantile(part)) / 1e3;
        let others = [used.fakes, used.openbao, used.disturber].into_iter().flatten();
        let ours = used.server + used.load + others.sum::<Duration>();
        let foreign = used.machine.saturating_sub(ours).as_secs_f64();
        let seconds = used.elapsed.as_secs_f64();
        // In a row with the real OpenBao, nobody asks the testkit's Vault.
        let vault_calls = used.counted.filter(|_| used.openbao.is_none());
        Ok(Self {
            name: scenario.name.clone(),
            connections: scenario.connections,
            latency_ms: scenario.latency_ms(),
            tokens: scenario.tokens,
            settings: scenario.words(),
            exchanges,
            seconds,
            per_second: real(exchanges) / seconds,
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
            server_cpu_us: each(used.server),
            server_cpus: used.server.as_secs_f64() / seconds,
            load_cpu_us: each(used.load),
            fakes_cpu_us: used.fakes.map(each),
            openbao_cpu_us: used.openbao.map(each),
            disturber_cpu_us: used.disturber.map(each),
            server_rss_mib: 0.0,
            reviews_per_exchange: used.counted.map(|counted| ratio(counted.reviews)),
            vault_calls_per_exchange: vault_calls.map(|counted| ratio(counted.vault_calls)),
            signatures_per_vault_call: vault_calls
                .filter(|counted| counted.vault_calls > 0)
                .map(|counted| real(counted.signatures) / real(counted.vault_calls)),
            vault_round_trip_ms: None,
            disturbed: used.disturbed,
            foreign_cpu_share: if used.machine.is_zero() {
                0.0
            } else {
                foreign / used.machine.as_secs_f64()
            },
            tokens_verified: 0,
            answer_bytes: 0,
        })
    }

    /// How many requests a second disturbed and came to an end.
    pub(crate) fn disturbed_per_second(&self) -> Option<f64> {
        self.disturbed.map(|outcomes| real(outcomes.total()) / self.seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Of several measurements of one row the one of median latency. In a closed loop that is the one of median throughput,
/// but for the few long waits that a mean counts and a median does not.
pub(crate) fn median(mut rounds: Vec<Row>) -> Option<Row> {
    rounds.sort_by(|one, other| one.p50_ms.total_cmp(&other.p50_ms));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fakes::Counters, scenario::Setup, scenario::Subject, scenario::VaultKind};

    impl Row {
        /// A thousand exchanges of a millisecond each in one second, 20 ms of CPU for each process.
        pub(crate) fn sample(scenario: &Scenario) -> Self {
            let mut latencies = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
            latencies.record_n(1000, 1000).unwrap();
            let cpu = Duration::from_millis(20);
            let openbao =
                matches!(scenario.subject, Subject::Server(Setup { vault: VaultKind::OpenBao, .. }));
            let used = Used {
                elapsed: Duration::from_secs(1),
                server: cpu,
                load: cpu,
                fakes: Some(cpu),
                openbao: openbao.then_some(cpu),
                machine: cpu * 5,
                counted: Some(Counters { reviews: 10, vault_calls: 100, signatures: 1000 }),
                disturbed: scenario.disturbance.map(|_| Outcomes { refused: 50, ..Outcomes::default() }),
                ..Used::default()
            };
            let row = Self::new(scenario, &latencies, &used).unwrap();
            Self { vault_round_trip_ms: Some(2.2), ..row }
        }
    }

    #[test]
    fn figures_are_per_exchange() {
        let row = Row::sample(&crate::catalog::reference());
        assert!((row.server_cpu_us - 20.0).abs() < 1e-9, "{row:?}");
        assert!((row.p50_ms - 1.0).abs() < 0.01, "{row:?}");
        assert_eq!(row.reviews_per_exchange, Some(0.01));
        assert_eq!(row.signatures_per_vault_call, Some(10.0));
        assert!((row.foreign_cpu_share - 0.4).abs() < 1e-9, "{row:?}");
    }

    #[test]
    fn of_several_rounds_the_one_of_median_latency_counts() {
        let row = Row::sample(&crate::catalog::reference());
        let rounds = [3.0, 1.0, 2.0].map(|p50_ms| Row { p50_ms, ..row.clone() });
        assert_eq!(median(rounds.to_vec()).map(|row| row.p50_ms), Some(2.0));
        assert!(median(Vec::new()).is_none());
    }
}
