//! Waits to a fraction of a millisecond.
//!
//! Tokio's timer counts whole milliseconds and rounds up, which makes more than 3 ms of a latency of 2 ms. A thread that
//! sleeps until the next alarm is late by the scheduler's slack only, some tens of microseconds.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The way to the thread, which lives as long as the process; `None` when none could be had.
static ALARMS: LazyLock<Option<Sender<Alarm>>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    let ring = move || ring(&receiver);
    thread::Builder::new().name("delays".to_owned()).spawn(ring).ok().map(|_| sender)
});

/// Waits this long, late by the scheduler's slack only and never early. In a process that cannot have another thread, it is
/// Tokio's timer that waits.
pub async fn delay(duration: Duration) {
    let (wake, woken) = oneshot::channel();
    let alarm = Alarm { at: Instant::now() + duration, wake };
    let is_set = ALARMS.as_ref().is_some_and(|alarms| alarms.send(alarm).is_ok());
    if !is_set || woken.await.is_err() {
        tokio::time::sleep(duration).await;
    }
}

/// Somebody who waits. The earliest is the greatest, as [`BinaryHeap`] wants it.
struct Alarm {
    at: Instant,
    wake: oneshot::Sender<()>,
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

fn ring(receiver: &Receiver<Alarm>) {
    let mut alarms = BinaryHeap::<Alarm>::new();
    loop {
        let next = alarms.peek().map(|alarm| alarm.at.saturating_duration_since(Instant::now()));
        let set = match next {
            Some(left) => receiver.recv_timeout(left),
            None => receiver.recv().map_err(RecvTimeoutError::from),
        };
        match set {
            Ok(alarm) => alarms.push(alarm),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while alarms.peek().is_some_and(|alarm| alarm.at <= now)
            && let Some(alarm) = alarms.pop()
        {
            // Who left does not need it.
            let _ = alarm.wake.send(());
        }
    }
}
