//! The load: connections that each send the next exchange when the last one is answered.
//!
//! A closed loop, so a slow answer delays only its own connection. Every answer is looked at; the first that is not a
//! token ends the measurement, because a fast wrong answer is no result. It shares the CPUs with what it measures, so it
//! makes its requests beforehand and reads all of an answer only where it keeps it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    environment::{CONTEXT, SCOPE},
    error::BenchError,
    keep_alive::{Answer, KeepAlive},
};

/// Every so many answers, one is kept to be verified.
const SAMPLE_EVERY: u64 = 499;
/// How many are kept at most.
const SAMPLES: usize = 200;
/// The longest latency that the histogram tells apart, in microseconds.
const HIGHEST_US: u64 = 60_000_000;
/// How long the last answers may take after the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The running connections.
pub(crate) struct Load {
    shared: Arc<Shared>,
    connections: JoinSet<Result<(), BenchError>>,
}

struct Shared {
    /// Whole requests, one for each subject token.
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
    stop: AtomicBool,
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

#[derive(Deserialize)]
struct Success<'a> {
    access_token: &'a str,
}

impl Load {
    /// Begins to exchange these tokens in turn.
    pub(crate) fn start(
        address: SocketAddr,
        connections: usize,
        tokens: &[String],
    ) -> Result<Self, BenchError> {
        let shared = Arc::new(Shared {
            requests: tokens.iter().map(|token| request(address, token)).collect(),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            record: Mutex::new(Record {
                latencies: Histogram::new_with_bounds(1, HIGHEST_US, 3).map_err(BenchError::Histogram)?,
                samples: Vec::new(),
                answer_bytes: 0,
            }),
        });
        let connection = |_| exchange_again_and_again(address, Arc::clone(&shared));
        Ok(Self { connections: (0..connections).map(connection).collect(), shared })
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

    /// The next request, in turn.
    fn request(&self) -> Result<&[u8], BenchError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(self.requests.len()).ok_or(BenchError::Nothing)?;
        self.requests.get(index).map(Vec::as_slice).ok_or(BenchError::Nothing)
    }
}

async fn exchange_again_and_again(address: SocketAddr, shared: Arc<Shared>) -> Result<(), BenchError> {
    let mut connection = KeepAlive::open(address).await?;
    while !shared.stop.load(Ordering::Relaxed) {
        let request = shared.request()?;
        let started = Instant::now();
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

/// A whole request for the exchange of this token.
pub(crate) fn request(address: SocketAddr, subject_token: &str) -> Vec<u8> {
    let body = body(subject_token);
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn body(subject_token: &str) -> String {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject_token),
        ("resource", CONTEXT),
        ("scope", SCOPE),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
