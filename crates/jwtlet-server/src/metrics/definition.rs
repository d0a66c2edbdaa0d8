//! Every metric: its name, what it counts, its labels, and what it means.
//!
//! The reference in `docs/metrics.md` is made of this, and a test sees to it that a server shows these and no others.

use std::fmt::Write;

use super::reason::Reason;

/// What kind of numbers a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// Kept in nanoseconds, shown in seconds.
    TimeHistogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram | Self::TimeHistogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug)]
pub(super) struct Definition {
    /// As it is announced: the series of a counter have `_total` behind it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    /// One line, without backslashes.
    pub(super) help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $id: &Definition =
            &Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+

        const ALL: &[&Definition] = &[$($id),+];
    };
}

metrics! {
    EXCHANGES = Counter "jwtlet_exchanges" ["outcome", "reason"]
        "Exchanges that were answered, by outcome and reason.";
    EXCHANGE_SECONDS = TimeHistogram "jwtlet_exchange_seconds" ["stage"]
        "Time of an exchange and of its stages, from the parsed request to the signed token; a stage counts also when it fails.";
    REQUESTS_IN_FLIGHT = Gauge "jwtlet_requests_in_flight" ["api"]
        "Requests that are being answered.";
    REQUESTS_LIMITED = Counter "jwtlet_requests_limited" ["by"]
        "Requests that were answered with 429, by the limit: source (limits.source_requests_per_second), client (limits.client_requests_per_second).";
    CONNECTIONS = Gauge "jwtlet_connections" ["api"]
        "Open connections of clients.";
    CONNECTIONS_MAX = Gauge "jwtlet_connections_max" []
        "Connections of clients that may be open on each port (http.max_connections).";
    CONNECTIONS_TURNED_AWAY = Counter "jwtlet_connections_turned_away" ["api"]
        "Connections that were closed at once because too many were open.";
    TLS_CERTIFICATE_EXPIRY = Gauge "jwtlet_tls_certificate_expiry_timestamp_seconds" []
        "When the certificate of both ports expires, in seconds since 1970. Absent without TLS.";
    MANAGEMENT_REQUESTS = Counter "jwtlet_management_requests" ["route", "method", "status"]
        "Requests to the management port that were answered, by route template (none where no route matches).";
    READY = Gauge "jwtlet_ready" ["system"]
        "1 when an exchange is expected to get what it needs from this system, as /readyz tells; otherwise 0.";

    UPSTREAM_CALLS = Counter "jwtlet_upstream_calls" ["system"]
        "Calls to a system that jwtlet depends on, its own probes among them.";
    UPSTREAM_FAILURES = Counter "jwtlet_upstream_failures" ["system", "cause"]
        "Calls that failed, by cause.";
    UPSTREAM_RETRIES = Counter "jwtlet_upstream_retries" ["system"]
        "Calls that repeat one that failed.";
    UPSTREAM_CALL_SECONDS = TimeHistogram "jwtlet_upstream_call_seconds" ["system"]
        "Time of calls, failed ones among them.";

    REVIEW_CACHE_HITS = Counter "jwtlet_review_cache_hits" []
        "Token reviews that were remembered.";
    REVIEW_CACHE_MISSES = Counter "jwtlet_review_cache_misses" []
        "Token reviews that were not remembered, tokens that are refused without a call among them.";
    REVIEW_CACHE_ENTRIES = Gauge "jwtlet_review_cache_entries" []
        "Token reviews that are remembered, roughly.";
    REVIEWS_RUNNING = Gauge "jwtlet_reviews_running" []
        "Token reviews under way.";
    REVIEWS_RUNNING_MAX = Gauge "jwtlet_reviews_running_max" []
        "Token reviews that may be under way (k8s.max_concurrent_reviews).";
    REVIEWS_WAITING = Gauge "jwtlet_reviews_waiting" []
        "Token reviews that wait for their turn.";
    REVIEWS_WAITING_MAX = Gauge "jwtlet_reviews_waiting_max" []
        "Token reviews that may wait (k8s.max_waiting_reviews).";
    REVIEWS_TURNED_AWAY = Counter "jwtlet_reviews_turned_away" []
        "Token reviews that were not begun, because too many waited or the API server had asked for a pause.";

    SIGNATURES_WAITING = Gauge "jwtlet_signatures_waiting" []
        "Exchanges that wait for a call to Vault to be made for them.";
    SIGNATURES_WAITING_MAX = Gauge "jwtlet_signatures_waiting_max" []
        "Exchanges that may wait so.";
    SIGNATURES_TURNED_AWAY = Counter "jwtlet_signatures_turned_away" []
        "Exchanges that were turned away because too many waited for a signature.";
    SIGNATURE_CALLS_IN_FLIGHT = Gauge "jwtlet_signature_calls_in_flight" []
        "Calls for signatures under way (at most vault.max_in_flight).";
    SIGNATURE_BATCH_SIZE = Histogram "jwtlet_signature_batch_size" []
        "Signatures that one call asks for.";

    SIGNING_KEY_VERSIONS = Gauge "jwtlet_signing_key_versions" ["state"]
        "Versions of the signing key: waiting (published, too new to sign), signing, superseded (published for the tokens that they signed), retired (listed by Vault and not published).";
    SIGNING_KEY_VERSION = Gauge "jwtlet_signing_key_version" ["role"]
        "The number of the version that signs, of the newest one, and of the oldest one that is published.";
    SIGNING_KEY_CREATED = Gauge "jwtlet_signing_key_created_timestamp_seconds" ["role"]
        "When Vault made the version that signs, the newest one, and the oldest one that is published, in seconds since 1970.";
    SIGNING_KEY_READ = Gauge "jwtlet_signing_key_read_timestamp_seconds" []
        "When the signing key was last read from Vault, in seconds since 1970. Usually 30 seconds ago at most; after 5 minutes jwtlet is not ready.";
    VAULT_TOKEN_EXPIRY = Gauge "jwtlet_vault_token_expiry_timestamp_seconds" []
        "When jwtlet's Vault token from a login ends, in seconds since 1970. Absent with vault.token and vault.token_file, whose end jwtlet does not know.";
    VAULT_TOKEN_FAILURES = Counter "jwtlet_vault_token_failures" []
        "Logins to Vault and renewals of the token that failed.";
    VAULT_UPKEEP_FAILURES = Counter "jwtlet_vault_upkeep_failures" []
        "Rounds of the background work that could not read the signing key, keep the login or try a signature.";

    STORE_CONNECTIONS = Gauge "jwtlet_store_connections" ["state"]
        "Open connections to the policy store: busy, idle.";
    STORE_CONNECTIONS_MAX = Gauge "jwtlet_store_connections_max" []
        "Connections that may be open (storage_backend.pool.max_connections).";
    STORE_FEED_ALIVE = Gauge "jwtlet_store_feed_alive" []
        "1 while changes of others are learnt of at once; while 0, remembered policy is not used.";
    POLICY_CACHE_HITS = Counter "jwtlet_policy_cache_hits" []
        "Look-ups of policy that were answered from memory.";
    POLICY_CACHE_MISSES = Counter "jwtlet_policy_cache_misses" []
        "Look-ups of policy that asked the store.";
    POLICY_CACHE_ENTRIES = Gauge "jwtlet_policy_cache_entries" []
        "Policies that are remembered, roughly.";
    POLICY_CACHE_BYTES = Gauge "jwtlet_policy_cache_bytes" []
        "Memory that remembered policy takes, roughly (at most storage_backend.policy_cache_bytes).";
    POLICY_RECORDS = Gauge "jwtlet_policy_records" ["kind"]
        "Records in the store: mapping, scope. Counted once a minute.";
    AUDIT_TRAIL_BROKEN = Gauge "jwtlet_audit_trail_broken" []
        "1 when the last verification of the audit trail through this replica found it broken; otherwise 0.";
    AUDIT_VERIFICATIONS = Counter "jwtlet_audit_verifications" []
        "Verifications of the audit trail through this replica that reached a verdict.";
    AUDIT_UNRECORDED = Counter "jwtlet_audit_unrecorded" []
        "Refused attempts to change policy that could not be recorded in the audit trail.";

    BUILD_INFO = Gauge "jwtlet_build_info" ["version"]
        "Always 1; the version of jwtlet is in the label.";
    PROCESS_CPU_SECONDS = Counter "process_cpu_seconds" []
        "Processor time of the process, user and system.";
    PROCESS_RESIDENT_MEMORY_BYTES = Gauge "process_resident_memory_bytes" []
        "Resident memory of the process.";
    PROCESS_VIRTUAL_MEMORY_BYTES = Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the process.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the process.";
    PROCESS_START_TIME_SECONDS = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "File descriptors that may be open.";
}

/// The tables of `docs/metrics.md`, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for metric in ALL {
        let suffix = if metric.kind == Kind::Counter { "_total" } else { "" };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels) = (metric.name, metric.kind.name(), labels.join(", "));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}{suffix}` | {kind} | {labels} | {} |", metric.help);
    }
    text.push_str("\n### Outcomes and reasons\n\n| `outcome` | `reason` | meaning |\n| --- | --- | --- |\n");
    for reason in Reason::ALL {
        let _ = writeln!(text, "| `{}` | `{}` | {} |", reason.outcome(), reason.name(), reason.meaning());
    }
    text
}
