//! One look at everything that is shown.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use jwtlet_core::{PolicyStore, Signer, SubjectVerifier, health::Health};
use jwtlet_store::Store;
use jwtlet_upstream::Calls;
use jwtlet_vault::{KeyCensus, VaultSigner};

use super::{
    ApiName, Metrics,
    definition::{self as metric, Definition},
    exposition::{self, Format, Page},
    process::Process,
    reason::Reason,
    stopwatch::STAGES,
};
use crate::{http::Service, serve::Census};

/// The labels of a metric that has none.
const NONE: &[&str] = &[];

/// Everything, as of now.
pub(crate) fn page(service: &Arc<Service>, now: Timestamp, format: Format) -> Result<String, fmt::Error> {
    let service = Arc::clone(service);
    exposition::write(format, move |page| {
        own(page, &service.metrics)?;
        clients(page, &service)?;
        upstream(page, &service)?;
        reviews(page, &service)?;
        signatures(page, service.exchange.signer(), now)?;
        store(page, service.exchange.store())?;
        trail(page, &service.metrics)?;
        process(page)
    })
}

fn own(page: &mut Page<'_>, metrics: &Metrics) -> fmt::Result {
    let exchanges = Reason::ALL.map(|reason| [reason.outcome(), reason.name()]);
    page.counter(
        metric::EXCHANGES,
        exchanges.iter().zip(&metrics.exchanges).map(|(labels, count)| (&labels[..], count.get())),
    )?;
    let stages = STAGES.map(|stage| [stage]);
    page.histogram(
        metric::EXCHANGE_SECONDS,
        stages.iter().zip(&metrics.times).map(|(labels, times)| (&labels[..], times.spread())),
    )?;
    let apis = ApiName::ALL.map(|api| [api.name()]);
    let in_flight = metrics.in_flight.iter().map(|count| count.load(std::sync::atomic::Ordering::Relaxed));
    page.gauge(metric::REQUESTS_IN_FLIGHT, apis.iter().map(|labels| &labels[..]).zip(in_flight))?;
    let calls = metrics.management.counts();
    let statuses: Vec<String> = calls.iter().map(|(kind, _)| kind.status.to_string()).collect();
    let labels: Vec<[&str; 3]> = calls
        .iter()
        .zip(&statuses)
        .map(|((kind, _), status)| [&*kind.route, kind.method, &**status])
        .collect();
    page.counter(
        metric::MANAGEMENT_REQUESTS,
        labels.iter().zip(&calls).map(|(labels, (_, count))| (&labels[..], *count)),
    )
}

fn clients(page: &mut Page<'_>, service: &Service) -> fmt::Result {
    let by_source = service.sources.as_ref().map_or(0, |sources| sources.refused());
    let by_client = service.exchange.verifier().refused();
    let limited = [(&["source"][..], by_source), (&["client"][..], by_client)];
    page.counter(metric::REQUESTS_LIMITED, limited)?;
    let connections = ApiName::ALL.map(|api| ([api.name()], service.metrics.connections(api)));
    let open = |census: &Census| census.open.load(std::sync::atomic::Ordering::Relaxed);
    page.gauge(metric::CONNECTIONS, connections.iter().map(|(labels, census)| (&labels[..], open(census))))?;
    level(page, metric::CONNECTIONS_MAX, service.max_connections as u64)?;
    page.counter(
        metric::CONNECTIONS_TURNED_AWAY,
        connections.iter().map(|(labels, census)| (&labels[..], census.turned_away.get())),
    )?;
    let expiry = service.certificate_expiry.as_ref().map(|expiry| (NONE, expiry.seconds()));
    page.gauge(metric::TLS_CERTIFICATE_EXPIRY, expiry)
}

fn upstream(page: &mut Page<'_>, service: &Service) -> fmt::Result {
    let exchange = &service.exchange;
    let (verifier, signer, store) = (exchange.verifier(), exchange.signer(), exchange.store());
    let healths =
        [(["kubernetes"], verifier.health()), (["vault"], signer.health()), (["store"], store.health())];
    let ready = healths.iter().map(|(labels, health)| (&labels[..], u64::from(*health == Health::Ready)));
    page.gauge(metric::READY, ready)?;

    let systems: [([&str; 1], &Calls); 3] = [
        (["kubernetes"], verifier.kubernetes().calls()),
        (["vault"], signer.calls()),
        (["store"], store.calls()),
    ];
    page.counter(metric::UPSTREAM_CALLS, systems.iter().map(|(labels, calls)| (&labels[..], calls.count())))?;
    let failures: Vec<([&str; 2], u64)> = systems
        .iter()
        .flat_map(|(system, calls)| {
            calls.failures().map(|(failure, count)| ([system[0], failure.name()], count))
        })
        .collect();
    page.counter(metric::UPSTREAM_FAILURES, failures.iter().map(|(labels, count)| (&labels[..], *count)))?;
    page.counter(
        metric::UPSTREAM_RETRIES,
        systems.iter().map(|(labels, calls)| (&labels[..], calls.retries())),
    )?;
    page.histogram(
        metric::UPSTREAM_CALL_SECONDS,
        systems.iter().map(|(labels, calls)| (&labels[..], calls.times())),
    )
}

fn reviews(page: &mut Page<'_>, service: &Service) -> fmt::Result {
    let verifier = service.exchange.verifier().kubernetes();
    let (cache, queue) = (verifier.cache_use(), verifier.queue());
    count(page, metric::REVIEW_CACHE_HITS, cache.hits)?;
    count(page, metric::REVIEW_CACHE_MISSES, cache.misses)?;
    level(page, metric::REVIEW_CACHE_ENTRIES, cache.entries)?;
    level(page, metric::REVIEWS_RUNNING, queue.running as u64)?;
    level(page, metric::REVIEWS_RUNNING_MAX, queue.max_running as u64)?;
    level(page, metric::REVIEWS_WAITING, queue.waiting as u64)?;
    level(page, metric::REVIEWS_WAITING_MAX, queue.max_waiting as u64)?;
    count(page, metric::REVIEWS_TURNED_AWAY, queue.turned_away)
}

fn signatures(page: &mut Page<'_>, signer: &VaultSigner, now: Timestamp) -> fmt::Result {
    let queue = signer.queue();
    level(page, metric::SIGNATURES_WAITING, queue.waiting as u64)?;
    level(page, metric::SIGNATURES_WAITING_MAX, queue.max_waiting as u64)?;
    count(page, metric::SIGNATURES_TURNED_AWAY, queue.turned_away)?;
    level(page, metric::SIGNATURE_CALLS_IN_FLIGHT, queue.calls as u64)?;
    page.histogram(metric::SIGNATURE_BATCH_SIZE, [(NONE, queue.batch_sizes)])?;
    key(page, signer.census(now).as_ref(), now)?;
    let token = signer.token_use();
    let remaining = token.and_then(|token| token.remaining);
    page.gauge(
        metric::VAULT_TOKEN_EXPIRY,
        remaining.map(|remaining| (NONE, seconds(now) + remaining.as_secs_f64())),
    )?;
    count(page, metric::VAULT_TOKEN_FAILURES, token.map_or(0, |token| token.failures))?;
    count(page, metric::VAULT_UPKEEP_FAILURES, signer.obstructions())
}

/// Nothing but the announcements before the key was read for the first time.
fn key(page: &mut Page<'_>, census: Option<&KeyCensus>, now: Timestamp) -> fmt::Result {
    let states = census.map(|census| {
        [
            (["waiting"], census.waiting),
            (["signing"], usize::from(census.signing.is_some())),
            (["superseded"], census.superseded),
            (["retired"], census.retired),
        ]
    });
    page.gauge(
        metric::SIGNING_KEY_VERSIONS,
        states.iter().flatten().map(|(labels, count)| (&labels[..], *count as u64)),
    )?;
    let roles: Vec<([&str; 1], u32, Timestamp)> = census
        .into_iter()
        .flat_map(|census| {
            [("signing", census.signing), ("newest", census.newest), ("oldest", census.oldest)]
        })
        .filter_map(|(role, version)| version.map(|(number, created_at)| ([role], number, created_at)))
        .collect();
    page.gauge(metric::SIGNING_KEY_VERSION, roles.iter().map(|(labels, number, _)| (&labels[..], *number)))?;
    page.gauge(
        metric::SIGNING_KEY_CREATED,
        roles.iter().map(|(labels, _, created_at)| (&labels[..], seconds(*created_at))),
    )?;
    page.gauge(
        metric::SIGNING_KEY_READ,
        census.map(|census| (NONE, seconds(now) - census.read.as_secs_f64())),
    )
}

fn store(page: &mut Page<'_>, store: &Store) -> fmt::Result {
    let state = store.state();
    let connections = [(["busy"], state.connections.busy), (["idle"], state.connections.idle)];
    page.gauge(metric::STORE_CONNECTIONS, connections.iter().map(|(labels, count)| (&labels[..], *count)))?;
    level(page, metric::STORE_CONNECTIONS_MAX, state.connections.max)?;
    level(page, metric::STORE_FEED_ALIVE, u64::from(state.feed_is_alive))?;
    count(page, metric::POLICY_CACHE_HITS, state.cache.hits)?;
    count(page, metric::POLICY_CACHE_MISSES, state.cache.misses)?;
    level(page, metric::POLICY_CACHE_ENTRIES, state.cache.entries)?;
    level(page, metric::POLICY_CACHE_BYTES, state.cache.bytes)?;
    let records = state.size.map(|size| [(["mapping"], size.mappings), (["scope"], size.scopes)]);
    page.gauge(metric::POLICY_RECORDS, records.iter().flatten().map(|(labels, count)| (&labels[..], *count)))
}

fn trail(page: &mut Page<'_>, metrics: &Metrics) -> fmt::Result {
    let trail = &metrics.trail;
    level(page, metric::AUDIT_TRAIL_BROKEN, u64::from(trail.is_broken()))?;
    count(page, metric::AUDIT_VERIFICATIONS, trail.verified.get())?;
    count(page, metric::AUDIT_UNRECORDED, trail.unrecorded.get())
}

fn process(page: &mut Page<'_>) -> fmt::Result {
    page.gauge(metric::BUILD_INFO, [(&[env!("CARGO_PKG_VERSION")][..], 1u64)])?;
    let process = Process::now();
    page.counter(metric::PROCESS_CPU_SECONDS, process.map(|process| (NONE, process.cpu_seconds)))?;
    let mut shown =
        |metric, of: fn(Process) -> u64| page.gauge(metric, process.map(|process| (NONE, of(process))));
    shown(metric::PROCESS_RESIDENT_MEMORY_BYTES, |process| process.resident_bytes)?;
    shown(metric::PROCESS_VIRTUAL_MEMORY_BYTES, |process| process.virtual_bytes)?;
    shown(metric::PROCESS_THREADS, |process| process.threads)?;
    shown(metric::PROCESS_OPEN_FDS, |process| process.open_descriptors)?;
    shown(metric::PROCESS_MAX_FDS, |process| process.max_descriptors)?;
    page.gauge(metric::PROCESS_START_TIME_SECONDS, process.map(|process| (NONE, process.started_at)))
}

/// Since 1970.
fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn count(page: &mut Page<'_>, metric: &Definition, value: u64) -> fmt::Result {
    page.counter(metric, [(NONE, value)])
}

fn level(page: &mut Page<'_>, metric: &Definition, value: u64) -> fmt::Result {
    page.gauge(metric, [(NONE, value)])
}
