//! The load: connections that exchange again and again.
//!
//! Most rows are a closed loop, in which a slow answer delays only its own connection. In an open one each connection
//! sends on schedule, and what is late counts from when it was due: a server that stalls must not make its clients ask
//! less and hide the stall (coordinated omission).
//!
//! Every answer is looked at; the first that is not a token ends the measurement, because a fast wrong answer is no
//! result. The load shares the CPUs with what it measures, so it is one thread, makes its requests beforehand and reads
//! all of an answer only where it keeps it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use jwtlet_testkit::delay;
use serde::Deserialize;
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    error::BenchError,
    keep_alive::{Answer, KeepAlive},
    scenario::Order,
};

/// Every so many answers, one is kept to be verified.
const SAMPLE_EVERY: u64 = 499;
/// How many are kept at most.
const SAMPLES: usize = 200;
/// The longest latency that the histogram tells apart, in microseconds.
const HIGHEST_US: u64 = 60_000_000;
/// How many connections of an open loop send at the same time.
const TOGETHER: u32 = 4;
/// How long the last answers may take after the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent.
pub(crate) struct Requests {
    /// Whole requests, one for each subject token.
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) order: Order,
}

/// The running connections.
pub(crate) struct Load {
    shared: Arc<Shared>,
    connections: JoinSet<Result<(), BenchError>>,
}

struct Shared {
    requests: Requests,
    next: AtomicUsize,
    stop: AtomicBool,
    /// A connection ended: for want of tokens, or because something is wrong.
    ended: Notify,
    record: Mutex<Record>,
}

/// What happened since the measurement began.
pub(crate) struct Record {
    /// Microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Some of the issued tokens.
    pub(crate) samples: Vec<String>,
    /// The size of an answer.
    pub(crate) answer_bytes: usize,
}

/// When a connection sends in an open loop.
struct Schedule {
    due: Instant,
    every: Duration,
}

#[derive(Deserialize)]
struct Success<'a> {
    access_token: &'a str,
}

impl Load {
    /// Begins to send. `per_second` is for all connections together; without it, each sends when it was answered.
    pub(crate) fn start(
        address: SocketAddr,
        connections: usize,
        requests: Requests,
        per_second: Option<f64>,
    ) -> Result<Self, BenchError> {
        let shared = Arc::new(Shared {
            requests,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            ended: Notify::new(),
            record: Mutex::new(Record {
                latencies: Histogram::new_with_bounds(1, HIGHEST_US, 3).map_err(BenchError::Histogram)?,
                samples: Vec::new(),
                answer_bytes: 0,
            }),
        });
        let started = Instant::now();
        let connection = |index| {
            let schedule =
                per_second.map(|rate| Schedule::new(started, index, connections, rate)).transpose()?;
            Ok(run(address, schedule, Arc::clone(&shared)))
        };
        let connections: Result<JoinSet<_>, BenchError> = (0..connections).map(connection).collect();
        Ok(Self { connections: connections?, shared })
    }

    /// Forgets what was measured so far.
    pub(crate) fn begin(&self) {
        let mut record = self.shared.record();
        record.latencies.reset();
        record.samples.clear();
    }

    /// A copy of what was measured until now.
    pub(crate) fn latencies(&self) -> Histogram<u64> {
        self.shared.record().latencies.clone()
    }

    /// How many exchanges were measured until now.
    pub(crate) fn exchanges(&self) -> u64 {
        self.shared.record().latencies.len()
    }

    /// Waits until a connection has ended, which may never be.
    pub(crate) async fn ended(&self) {
        self.shared.ended.notified().await;
    }

    /// Lets each connection finish, and ends.
    pub(crate) async fn finish(mut self) -> Result<Record, BenchError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all_ended = async {
            while let Some(ended) = self.connections.join_next().await {
                ended.map_err(|_| BenchError::Nothing)??;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, all_ended).await.unwrap_or(Err(BenchError::Stuck(PATIENCE)))?;
        let shared = Arc::into_inner(self.shared).ok_or(BenchError::Nothing)?;
        Ok(shared.record.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request; `None` when all were sent that may be.
    fn request(&self) -> Option<&[u8]> {
        let Requests { bytes, order } = &self.requests;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let index = match order {
            Order::Cycle => turn.checked_rem(bytes.len())?,
            Order::Once => turn,
        };
        bytes.get(index).map(Vec::as_slice)
    }
}

impl Schedule {
    /// Connections take turns, so that the whole load is even; [`TOGETHER`] at a time, because being woken for each
    /// request would make the load half as costly again.
    fn new(started: Instant, index: usize, connections: usize, per_second: f64) -> Result<Self, BenchError> {
        let (index, connections) =
            (u32::try_from(index).unwrap_or(u32::MAX), u32::try_from(connections).unwrap_or(u32::MAX));
        let every = Duration::try_from_secs_f64(f64::from(connections) / per_second)
            .map_err(|_| BenchError::Nothing)?;
        let turn = index / TOGETHER * TOGETHER;
        let due = started + every.mul_f64(f64::from(turn) / f64::from(connections.max(1)));
        Ok(Self { due, every })
    }

    /// Waits for the next turn, and says when it was due. Whoever is late does not wait.
    async fn next(&mut self) -> Instant {
        let due = self.due;
        self.due += self.every;
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            delay(left).await;
        }
        due
    }
}

async fn run(address: SocketAddr, schedule: Option<Schedule>, shared: Arc<Shared>) -> Result<(), BenchError> {
    let outcome = exchange_again_and_again(address, schedule, &shared).await;
    shared.ended.notify_one();
    outcome
}

async fn exchange_again_and_again(
    address: SocketAddr,
    mut schedule: Option<Schedule>,
    shared: &Shared,
) -> Result<(), BenchError> {
    let mut connection = KeepAlive::open(address).await?;
    while !shared.stop.load(Ordering::Relaxed) {
        let started = match &mut schedule {
            Some(schedule) => schedule.next().await,
            None => Instant::now(),
        };
        let Some(request) = shared.request() else {
            return Ok(());
        };
        let answer = connection.send(request).await?;
        let took = started.elapsed();
        check(&answer)?;
        let mut record = shared.record();
        record.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if record.latencies.len() % SAMPLE_EVERY == 1 && record.samples.len() < SAMPLES {
            record.samples.push(token(&answer)?.to_owned());
            record.answer_bytes = answer.body.len();
        }
    }
    Ok(())
}

/// Whether it begins as a token's answer does.
pub(crate) fn check(answer: &Answer<'_>) -> Result<(), BenchError> {
    let token = answer.body.strip_prefix(br#"{"access_token":""#);
    let is_success = answer.status == 200 && token.is_some_and(|token| !token.starts_with(b"\""));
    if is_success { Ok(()) } else { Err(wrong(answer)) }
}

fn token<'a>(answer: &Answer<'a>) -> Result<&'a str, BenchError> {
    match serde_json::from_slice(answer.body) {
        Ok(Success { access_token }) => Ok(access_token),
        Err(_) => Err(wrong(answer)),
    }
}

fn wrong(answer: &Answer<'_>) -> BenchError {
    BenchError::Answer(format!("{}: {}", answer.status, String::from_utf8_lossy(answer.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(order: Order) -> Shared {
        Shared {
            requests: Requests { bytes: vec![b"a".to_vec(), b"b".to_vec()], order },
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            ended: Notify::new(),
            record: Mutex::new(Record {
                latencies: Histogram::new_with_bounds(1, HIGHEST_US, 3).unwrap(),
                samples: Vec::new(),
                answer_bytes: 0,
            }),
        }
    }

    #[test]
    fn tokens_are_used_in_turn_or_only_once() {
        let (cycle, once) = (shared(Order::Cycle), shared(Order::Once));
        assert_eq!([(); 3].map(|()| cycle.request()), [Some(&b"a"[..]), Some(b"b"), Some(b"a")]);
        assert_eq!([(); 3].map(|()| once.request()), [Some(&b"a"[..]), Some(b"b"), None]);
    }

    #[tokio::test]
    async fn connections_are_due_in_turn_four_at_a_time_and_what_is_late_stays_due() {
        let started = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let due = async |index| {
            let mut schedule = Schedule::new(started, index, 8, 1000.0).unwrap();
            let first = schedule.next().await - started;
            (first, schedule.next().await - started)
        };
        let millis = Duration::from_millis;
        assert_eq!(due(0).await, (millis(0), millis(8)));
        assert_eq!(due(3).await, (millis(0), millis(8)));
        assert_eq!(due(4).await, (millis(4), millis(12)));
    }
}
