//! Group commit: exchanges that want a signature at the same time get it from one call.
//!
//! A caller hands in its payload and waits. While calls are under way, arrivals gather, and leave together as
//! [`Queue`] says. Each call runs in a task of its own: a caller that goes away does not take the others with it, and one
//! that left before its call is made is not in it. The version that signs is chosen when the call is made, and with it
//! the header, so that a wait does not make a `kid` stale.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use jwtlet_core::jws::CompactJws;
use jwtlet_upstream::{
    Counter, Histogram, Spread,
    trace::{self, Link},
};
use tokio::{
    sync::oneshot,
    task::yield_now,
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span, trace_span, warn};

use crate::{
    VaultSettings,
    error::VaultError,
    outcomes::Outcomes,
    queue::{LONGEST_COMPANY, Limits, MOST_WAITING, Queue},
    settings::LARGEST_BATCH,
    transit::Transit,
};

/// What becomes of one caller; a failure may be that of all in its batch.
pub(crate) type Outcome = Result<CompactJws, Arc<VaultError>>;

/// A caller that waits for a signature.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) payload: Vec<u8>,
    pub(crate) now: Timestamp,
    pub(crate) deadline: Instant,
    /// To the span of its exchange.
    link: Option<Link>,
    reply: oneshot::Sender<Outcome>,
}

impl Waiting {
    /// Whether nobody waits any more.
    pub(crate) fn has_left(&self) -> bool {
        self.reply.is_closed()
    }

    /// Ends the wait.
    pub(crate) fn answer(self, outcome: Outcome) {
        // Who left does not need it.
        let _ = self.reply.send(outcome);
    }
}

/// The way of all callers to Vault.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) transit: Transit,
    pub(crate) outcomes: Outcomes,
    queue: Mutex<Queue<Waiting>>,
    patience: Duration,
    batch_sizes: Histogram,
    turned_away: Counter,
}

/// Bounds for the number of signatures that a call asks for.
const BATCH_SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// How many wait for a signature, and for how many a call is made.
#[derive(Debug, Clone)]
pub struct SignatureQueue {
    /// How many exchanges wait for a call to be made.
    pub waiting: usize,
    /// How many may wait.
    pub max_waiting: usize,
    /// How many calls are under way.
    pub calls: usize,
    /// How many exchanges were turned away so far because too many waited.
    pub turned_away: u64,
    /// For how many exchanges each call was made.
    pub batch_sizes: Spread,
}

impl Lanes {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        let limits = Limits {
            batch: settings.max_batch.clamp(1, LARGEST_BATCH),
            in_flight: settings.max_in_flight.max(1),
        };
        Self {
            transit: Transit::new(settings),
            outcomes: Outcomes::default(),
            queue: Mutex::new(Queue::new(limits)),
            patience: settings.request_timeout,
            batch_sizes: Histogram::new(BATCH_SIZES),
            turned_away: Counter::default(),
        }
    }

    /// How many wait, and for how many calls were made.
    pub(crate) fn signature_queue(&self) -> SignatureQueue {
        let (waiting, calls) = self.queue().load();
        SignatureQueue {
            waiting,
            max_waiting: MOST_WAITING,
            calls,
            turned_away: self.turned_away.get(),
            batch_sizes: self.batch_sizes.spread(),
        }
    }

    /// Signs, together with others who want it now.
    pub(crate) async fn sign(self: &Arc<Self>, payload: &[u8], now: Timestamp) -> Outcome {
        if self.transit.ring().is_none() {
            return Err(self.outcomes.not_ready().into());
        }
        let deadline = Instant::now() + self.patience;
        let (reply, mut outcome) = oneshot::channel();
        let link = Link::to_current();
        let waiting = Waiting { payload: payload.to_vec(), now, deadline, link, reply };
        if self.enter(waiting)? {
            // When this caller leaves meanwhile, the next to enter makes the call, or one under way does when it ends.
            yield_now().await;
        }
        self.dispatch();
        let mut waited = timeout_at(deadline.min(Instant::now() + LONGEST_COMPANY), &mut outcome).await;
        if waited.is_err() {
            self.dispatch();
            waited = timeout_at(deadline, outcome).await;
        }
        match waited {
            Ok(Ok(outcome)) => outcome,
            // The task is gone, with the runtime that it was in.
            Ok(Err(_)) if Instant::now() < deadline => Err(VaultError::Lost.into()),
            Ok(Err(_)) | Err(_) => {
                self.outcomes.failed(&VaultError::Deadline);
                Err(VaultError::Deadline.into())
            }
        }
    }

    /// Lets a caller wait. Tells whether a call would leave early for it.
    fn enter(&self, waiting: Waiting) -> Result<bool, VaultError> {
        let mut queue = self.queue();
        if queue.push(waiting, Waiting::has_left).is_err() {
            self.turned_away.increment();
            return Err(VaultError::Busy);
        }
        Ok(queue.is_early())
    }

    /// Makes all calls that are to be made now. Tells whether there was one.
    fn dispatch(self: &Arc<Self>) -> bool {
        let mut any = false;
        loop {
            // The lock is released before the task is made.
            let Some(mut batch) = self.queue().take() else { return any };
            self.batch_sizes.observe(batch.len().try_into().unwrap_or(u64::MAX));
            let lane = Lane {
                lanes: Arc::clone(self),
                items: batch.len().into(),
                is_under_way: AtomicBool::new(true),
            };
            let span = span_of(&mut batch);
            tokio::spawn(lane.run(batch).instrument(span));
            any = true;
        }
    }

    /// Keeps the batches to come to a size that Vault takes.
    pub(crate) fn limit_batches(&self, size: usize) {
        if self.queue().limit_batches(size) {
            warn!(
                size,
                "Vault refuses larger batches than this, or a proxy in front of it does; batches are kept to this size. \
                 See max_request_json_strings and max_request_size of the listener (OpenBao), max_request_size and \
                 max_json_array_element_count (HashiCorp Vault), or set vault.max_batch"
            );
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call for one exchange belongs to its trace. One for several belongs to all of them, hence to none: it has a trace of its
/// own, linked to theirs.
fn span_of(batch: &mut [Waiting]) -> Span {
    let span = trace_span!(target: trace::TARGET, parent: None, "sign batch", signatures = batch.len());
    if let [caller] = batch {
        if let Some(link) = caller.link.take() {
            link.parent_of(&span);
        }
        return span;
    }
    for link in batch.iter_mut().filter_map(|caller| caller.link.take()) {
        link.of(&span);
    }
    span
}

/// The place of a call among those under way. It is given up when the answer has come, so that the next call is made before
/// the signatures are verified and handed out; and in any case when this is dropped.
pub(crate) struct Lane {
    lanes: Arc<Lanes>,
    items: AtomicUsize,
    is_under_way: AtomicBool,
}

impl Lane {
    async fn run(self, batch: Vec<Waiting>) {
        let lanes = Arc::clone(&self.lanes);
        if let Some(unsigned) = lanes.serve(batch, &self).await {
            self.leave();
            let mut queue = lanes.queue();
            if queue.make_single() {
                warn!("this Vault does not sign in batches; from now on each signature is a call of its own");
            }
            queue.put_back(unsigned);
        }
        drop(self);
        lanes.dispatch();
    }

    /// Makes room for the next call, and makes it, when the answer to this one has come.
    pub(crate) async fn answered(&self) {
        self.leave();
        if self.lanes.dispatch() {
            // The new call is sent first; what is left to do for this one takes longer.
            yield_now().await;
        }
    }

    /// Takes its place again, for a call that is repeated for so many although it was answered.
    pub(crate) fn resume(&self, items: usize) {
        if !self.is_under_way.swap(true, Ordering::Relaxed) {
            self.items.store(items, Ordering::Relaxed);
            self.lanes.queue().resume(items);
        }
    }

    fn leave(&self) {
        if self.is_under_way.swap(false, Ordering::Relaxed) {
            self.lanes.queue().release(self.items.load(Ordering::Relaxed));
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.leave();
    }
}
