//! The load: connections that each send the next exchange when the last one is answered.
//!
//! A closed loop, so a slow answer delays only its own connection. Every answer is looked at; the first that is not a
//! token ends the measurement, because a fast wrong answer is no result.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::Connection,
    environment::{CONTEXT, SCOPE},
    error::BenchError,
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
    bodies: Vec<Bytes>,
    headers: HeaderMap,
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
        let mut headers = HeaderMap::new();
        let host = HeaderValue::try_from(address.to_string()).map_err(http::Error::from)?;
        headers.insert(header::HOST, host);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        let shared = Arc::new(Shared {
            bodies: tokens.iter().map(|token| body(token)).collect(),
            headers,
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

    fn request(&self, index: usize) -> Option<Request<Full<Bytes>>> {
        let body = self.bodies.get(index.checked_rem(self.bodies.len())?)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/token");
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

async fn exchange_again_and_again(address: SocketAddr, shared: Arc<Shared>) -> Result<(), BenchError> {
    let mut connection = Connection::open(address).await?;
    while !shared.stop.load(Ordering::Relaxed) {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        let request = shared.request(index).ok_or(BenchError::Nothing)?;
        let started = Instant::now();
        let (status, body) = connection.send(request).await?;
        let took = started.elapsed();
        let token = check(status, &body)?;
        let mut record = shared.record();
        record.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if record.latencies.len() % SAMPLE_EVERY == 1 && record.samples.len() < SAMPLES {
            record.samples.push(token.to_owned());
            record.answer_bytes = body.len();
        }
    }
    Ok(())
}

fn check(status: StatusCode, body: &[u8]) -> Result<&str, BenchError> {
    let refused = || BenchError::Answer(format!("{status}: {}", String::from_utf8_lossy(body)));
    if status != StatusCode::OK {
        return Err(refused());
    }
    match serde_json::from_slice(body) {
        Ok(Success { access_token }) if !access_token.is_empty() => Ok(access_token),
        _ => Err(refused()),
    }
}

fn body(subject_token: &str) -> Bytes {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject_token),
        ("resource", CONTEXT),
        ("scope", SCOPE),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into()
}
