//! Who waits for a signature, and when a call is made for whom.
//!
//! The rule is looked at with each arrival and each answer, so there is no timer and an idle signer never waits. A call
//! leaves when a lane is free and either nothing is in flight or enough have gathered: a part of all messages, waiting and
//! in flight, for each lane and half a lane more, or a half as long as that is no more than [`WORTHWHILE`]. It takes half as many
//! again if so many have gathered while all lanes were under way, and a lane's part of all in any case; but not everybody:
//! if the first to find a free lane took all, everybody would wait for the slowest of them. As long as there is a lane for
//! everybody nobody waits at all, so one caller and a few are sent at once; many callers make large batches.
//!
//! Callers whom one batch answered come back together, and the first of them may find all lanes free. It leaves with those
//! that are ready to run in the same moment ([`Queue::is_early`]): otherwise it and the next few would each take a lane
//! alone, all others would wait for a round trip, and come back together again.
//!
//! `docs/performance.md` has what other rules cost, measured and computed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The most callers that wait; what comes on top is turned away, because it would not be served within its deadline.
pub(crate) const MOST_WAITING: usize = 4096;

/// How many calls are under way at once with a server that signs one message a call.
const SINGLE_CALLS: usize = 64;

/// From this size on larger batches gain little: Vault's cost of a signature hardly falls any more.
const WORTHWHILE: usize = 12;

/// How long batches are kept to a size that the server has shown. Then larger ones are tried again: what refused them may
/// have been changed, or have been a proxy that is gone.
const FOUND_SIZE_STAYS: Duration = Duration::from_mins(10);

/// How large and how many calls may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) batch: usize,
    pub(crate) in_flight: usize,
}

impl Limits {
    /// One message a call.
    const SINGLE: Self = Self { batch: 1, in_flight: SINGLE_CALLS };
}

/// Callers in order of arrival, and a count of what is under way.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<T>,
    limits: Limits,
    /// What the server takes, and until when that is respected.
    found_size: Option<(usize, Instant)>,
    lanes: usize,
    items: usize,
    /// The size of the call that ended last.
    last: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { waiting: VecDeque::new(), limits, found_size: None, lanes: 0, items: 0, last: 0 }
    }

    /// Lets a caller wait, unless too many do. Those who are gone do not count.
    pub(crate) fn push(&mut self, caller: T, is_gone: impl Fn(&T) -> bool) -> Result<(), T> {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.retain(|caller| !is_gone(caller));
            if self.waiting.len() >= MOST_WAITING {
                return Err(caller);
            }
        }
        self.waiting.push_back(caller);
        Ok(())
    }

    /// How many wait, and how many calls are under way.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.lanes)
    }

    /// Whether a call is to be made now although no share has gathered, after one that answered several callers, who may
    /// all be about to come back. One who never has company is never early; nor is anybody where there is one lane only,
    /// because others gather while the first has it.
    pub(crate) fn is_early(&self) -> bool {
        let limits = self.limits_now();
        let queued = self.waiting.len();
        let total = queued + self.items;
        self.last > 1
            && limits.in_flight > 1
            && next_call(queued, self.lanes, self.items, limits).is_some()
            && (total <= limits.in_flight || queued < enough(total, limits))
    }

    /// The callers of the next call, if one is to be made now. It is under way from then on.
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        let queued = self.waiting.len();
        let size = next_call(queued, self.lanes, self.items, self.limits_now())?;
        let batch: Vec<T> = self.waiting.drain(..size).collect();
        self.lanes += 1;
        self.items += batch.len();
        Some(batch)
    }

    /// A call for so many is made once more, by those who made it before.
    pub(crate) fn resume(&mut self, items: usize) {
        self.lanes += 1;
        self.items += items;
    }

    /// A call for so many is answered, or has ended in another way.
    pub(crate) fn release(&mut self, items: usize) {
        self.lanes = self.lanes.saturating_sub(1);
        self.items = self.items.saturating_sub(items);
        self.last = items;
    }

    /// Makes batches no larger than this for a while. Tells whether that is news.
    pub(crate) fn limit_batches(&mut self, size: usize) -> bool {
        // A call that was made before the last limit was found may tell of a larger one.
        let size = size.min(self.limits_now().batch);
        let is_news = self.found_size.is_none_or(|(last, _)| last != size);
        self.found_size = Some((size, Instant::now() + FOUND_SIZE_STAYS));
        is_news
    }

    fn limits_now(&self) -> Limits {
        match self.found_size {
            Some((size, until)) if Instant::now() < until => {
                Limits { batch: self.limits.batch.min(size), ..self.limits }
            }
            _ => self.limits,
        }
    }

    /// Asks for one message a call from now on. Tells whether that is news.
    pub(crate) fn make_single(&mut self) -> bool {
        let is_news = self.limits.batch > 1;
        self.limits = Limits::SINGLE;
        is_news
    }

    /// Lets callers wait again, before all others.
    pub(crate) fn put_back(&mut self, callers: Vec<T>) {
        for caller in callers.into_iter().rev() {
            self.waiting.push_front(caller);
        }
    }
}

/// The size of the call to make now, if any.
fn next_call(queued: usize, lanes: usize, items: usize, limits: Limits) -> Option<usize> {
    if queued == 0 || lanes >= limits.in_flight {
        return None;
    }
    let total = queued + items;
    if total <= limits.in_flight {
        return Some(queued.min(limits.batch));
    }
    let enough = enough(total, limits);
    let most = total.div_ceil(limits.in_flight).max(enough + enough.div_ceil(2));
    (queued >= enough || lanes == 0).then_some(most.min(limits.batch).min(queued))
}

/// How many have to wait for a call to leave, when so many messages are waiting and in flight.
fn enough(total: usize, limits: Limits) -> usize {
    (2 * total).div_ceil(2 * limits.in_flight + 1).max(total.div_ceil(2).min(WORTHWHILE)).min(limits.batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { batch: 200, in_flight: 4 };

    fn queue(waiting: usize) -> Queue<usize> {
        let mut queue = Queue::new(LIMITS);
        queue.put_back((0..waiting).collect());
        queue
    }

    #[test]
    fn a_caller_alone_is_sent_at_once() {
        assert_eq!(next_call(1, 0, 0, LIMITS), Some(1));
        assert_eq!(next_call(0, 0, 0, LIMITS), None);
    }

    #[test]
    fn while_there_is_a_lane_for_everybody_nobody_waits() {
        assert_eq!(next_call(1, 1, 1, LIMITS), Some(1));
        assert_eq!(next_call(1, 2, 2, LIMITS), Some(1));
        assert_eq!(next_call(1, 3, 3, LIMITS), Some(1));
        assert_eq!(next_call(1, 3, 4, LIMITS), None);
        assert_eq!(next_call(4, 0, 0, LIMITS), Some(4));
    }

    #[test]
    fn under_load_a_call_waits_for_enough_and_takes_half_as_many_more() {
        assert_eq!(next_call(14, 3, 50, LIMITS), None);
        assert_eq!(next_call(15, 3, 49, LIMITS), Some(15));
        assert_eq!(next_call(16, 3, 48, LIMITS), Some(16));
        assert_eq!(next_call(59, 3, 4, LIMITS), Some(21));
        assert_eq!(next_call(3, 1, 4, LIMITS), None);
        assert_eq!(next_call(4, 1, 4, LIMITS), Some(4));
        assert_eq!(next_call(16, 2, 20, LIMITS), Some(16));
        assert_eq!(next_call(20, 2, 16, LIMITS), Some(18));
    }

    #[test]
    fn a_call_is_early_that_leaves_with_less_than_a_share_after_one_for_several() {
        assert!(!queue(1).is_early());
        let mut queue = queue(3);
        queue.take();
        queue.release(3);
        assert!(!queue.is_early());
        queue.push(0, |_| false).unwrap();
        assert!(queue.is_early());
        queue.put_back((1..16).collect());
        assert!(!queue.is_early());
        queue.take();
        queue.release(1);
        assert!(!queue.is_early());
    }

    #[test]
    fn no_call_is_larger_or_one_too_many() {
        assert_eq!(next_call(4000, 3, 600, LIMITS), Some(200));
        assert_eq!(next_call(4000, 4, 800, LIMITS), None);
        assert_eq!(next_call(500, 0, 0, Limits { batch: 200, in_flight: 1 }), Some(200));
    }

    #[test]
    fn what_is_taken_is_in_order_and_counts_until_it_is_released() {
        let mut queue = queue(6);
        assert_eq!(queue.take(), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(queue.take(), None);
        queue.push(6, |_| false).unwrap();
        assert_eq!(queue.take(), None);
        queue.release(5);
        assert_eq!(queue.take(), Some(vec![5, 6]));
    }

    #[test]
    fn a_call_that_is_repeated_has_its_place_again() {
        let mut queue = Queue::new(Limits { batch: 200, in_flight: 1 });
        queue.put_back(vec![0, 1]);
        assert_eq!(queue.take(), Some(vec![0, 1]));
        queue.release(2);
        queue.resume(2);
        queue.push(2, |_| false).unwrap();
        assert_eq!(queue.take(), None);
        queue.release(2);
        assert_eq!(queue.take(), Some(vec![2]));
    }

    #[test]
    fn a_full_queue_turns_away_unless_somebody_has_left() {
        let mut queue = queue(MOST_WAITING);
        assert_eq!(queue.push(5000, |_| false), Err(5000));
        assert_eq!(queue.push(5000, |caller| *caller == 7), Ok(()));
    }

    #[test]
    fn a_size_that_the_server_has_shown_is_respected_for_a_while_and_news_once() {
        let mut queue = Queue::new(Limits { batch: 200, in_flight: 1 });
        queue.put_back((0..2000).collect::<Vec<_>>());
        let size = |queue: &mut Queue<usize>| {
            let taken = queue.take().unwrap().len();
            queue.release(taken);
            taken
        };
        assert_eq!(size(&mut queue), 200);
        assert!(queue.limit_batches(50));
        assert!(!queue.limit_batches(50));
        assert!(!queue.limit_batches(100), "found by a call that was made before");
        assert_eq!(size(&mut queue), 50);
        assert!(queue.limit_batches(25));
        assert_eq!(size(&mut queue), 25);
        queue.found_size = Some((25, Instant::now()));
        assert_eq!(size(&mut queue), 200);
        assert!(!queue.limit_batches(25));
        assert_eq!(size(&mut queue), 25);
    }

    #[test]
    fn a_server_without_batches_gets_many_calls_of_one() {
        let mut queue = queue(100);
        assert!(queue.make_single());
        assert!(!queue.make_single());
        let calls: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(calls.len(), SINGLE_CALLS);
        assert!(calls.iter().all(|call| call.len() == 1));
    }
}
