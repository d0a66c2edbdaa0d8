//! What was measured in one row.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{error::BenchError, fakes::Counters, scenario::Scenario};

/// One row of the table. Times of the percentiles are in milliseconds, costs in microseconds of CPU per exchange.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
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
    pub(crate) server_rss_mib: f64,
    pub(crate) reviews_per_exchange: Option<f64>,
    /// Of the testkit's Vault; a real one does not count them.
    pub(crate) vault_calls_per_exchange: Option<f64>,
    /// The mean size of a batch, with reads of the key among the calls.
    pub(crate) signatures_per_vault_call: Option<f64>,
    /// One signature with nobody else asking.
    pub(crate) vault_round_trip_ms: Option<f64>,
    /// The part of all CPU time spent that went to processes that are not part of the measurement.
    pub(crate) foreign_cpu_share: f64,
    pub(crate) tokens_verified: usize,
    pub(crate) answer_bytes: usize,
}

/// What each process used between two moments.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    pub(crate) server: Duration,
    pub(crate) load: Duration,
    pub(crate) fakes: Option<Duration>,
    pub(crate) openbao: Option<Duration>,
    pub(crate) machine: Duration,
    pub(crate) counted: Option<Counters>,
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
        let ours =
            used.server + used.load + used.fakes.unwrap_or_default() + used.openbao.unwrap_or_default();
        let foreign = used.machine.saturating_sub(ours).as_secs_f64();
        let seconds = used.elapsed.as_secs_f64();
        // In a row with the real OpenBao, nobody asks the testkit's Vault.
        let vault_calls = used.counted.filter(|_| used.openbao.is_none());
        Ok(Self {
            name: scenario.name,
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
            server_rss_mib: 0.0,
            reviews_per_exchange: used.counted.map(|counted| ratio(counted.reviews)),
            vault_calls_per_exchange: vault_calls.map(|counted| ratio(counted.vault_calls)),
            signatures_per_vault_call: vault_calls
                .filter(|counted| counted.vault_calls > 0)
                .map(|counted| real(counted.signatures) / real(counted.vault_calls)),
            vault_round_trip_ms: None,
            foreign_cpu_share: if used.machine.is_zero() {
                0.0
            } else {
                foreign / used.machine.as_secs_f64()
            },
            tokens_verified: 0,
            answer_bytes: 0,
        })
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
