//! Who waits for a signature, and when a call is made for whom.
//!
//! The rule is looked at with each arrival and each answer, so an idle signer never waits. A call takes all who wait, as
//! many as a batch may have. It leaves when a lane is free and one of these holds:
//!
//! - there is a lane for every message, waiting or in flight: one caller and a few are sent at once;
//! - nothing is in flight;
//! - enough have gathered: a lane's part of all, be they waiting, in flight or expected;
//! - nobody is expected: as many have come as the last two calls have answered;
//! - somebody has waited for [`LONGEST_COMPANY`], which only happens when calls hang.
//!
//! Clients that exchange again and again come back in the groups in which they were answered. A call that leaves before
//! its group is complete leaves some behind, who would then wait for the next answer beside a free lane, for a whole round
//! trip when few are under way; and one that does not count those who are about to come takes a lane for few of them, when
//! all lanes are answered at the same time.
//!
//! Who does not come back must not be waited for long. Callers have no names here, so it shows in numbers only: who was
//! missing all the while that some calls were answered is not expected any more.
//!
//! Callers whom one batch answered may find all lanes free. The first of them leaves with those that are ready to run in
//! the same moment ([`Queue::is_early`]): otherwise it and the next few would each take a lane alone, and all others would
//! wait for a round trip.
//!
//! `docs/performance.md` has what other rules cost, measured and computed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::returns::Returns;

/// The most callers that wait; what comes on top is turned away, because it would not be served within its deadline.
pub(crate) const MOST_WAITING: usize = 4096;

/// How many calls are under way at once with a server that signs one message a call.
const SINGLE_CALLS: usize = 64;

/// How long batches are kept to a size that the server has shown. Then larger ones are tried again: what refused them may
/// have been changed, or have been a proxy that is gone.
const FOUND_SIZE_STAYS: Duration = Duration::from_mins(10);

/// How long somebody waits beside a free lane at most. Whoever waits so long has the rule looked at once more.
pub(crate) const LONGEST_COMPANY: Duration = Duration::from_millis(100);

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
    /// With the time of arrival.
    waiting: VecDeque<(Instant, T)>,
    limits: Limits,
    /// What the server takes, and until when that is respected.
    found_size: Option<(usize, Instant)>,
    lanes: usize,
    items: usize,
    /// What is known of those who may come back.
    returns: Returns,
}

impl<T> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            waiting: VecDeque::new(),
            limits,
            found_size: None,
            lanes: 0,
            items: 0,
            returns: Returns::default(),
        }
    }

    /// Lets a caller wait, unless too many do. Those who are gone do not count.
    pub(crate) fn push(&mut self, caller: T, is_gone: impl Fn(&T) -> bool) -> Result<(), T> {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.retain(|(_, caller)| !is_gone(caller));
            if self.waiting.len() >= MOST_WAITING {
                return Err(caller);
            }
        }
        self.waiting.push_back((Instant::now(), caller));
        self.returns.came(1);
        Ok(())
    }

    /// How many wait, and how many calls are under way.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.waiting.len(), self.lanes)
    }

    /// Whether a call is to be made now although others are expected, who may be ready to come along. One who never has
    /// company is never early; nor is anybody where there is one lane only, because others gather while the first has it.
    pub(crate) fn is_early(&self) -> bool {
        let limits = self.limits_now();
        self.returns.expected > 0
            && limits.in_flight > 1
            && limits.batch > 1
            && self.next_call().is_some()
            && (self.in_sight() <= limits.in_flight || self.waiting.len() < self.enough(limits))
    }

    /// The callers of the next call, if one is to be made now. It is under way from then on.
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        let size = self.next_call()?;
        let batch: Vec<T> = self.waiting.drain(..size).map(|(_, caller)| caller).collect();
        self.lanes += 1;
        self.items += batch.len();
        Some(batch)
    }

    /// A call for so many is made once more, by those who made it before.
    pub(crate) fn resume(&mut self, items: usize) {
        self.lanes += 1;
        self.items += items;
        self.returns.came(items);
    }

    /// A call for so many is answered, or has ended in another way.
    pub(crate) fn release(&mut self, items: usize) {
        self.lanes = self.lanes.saturating_sub(1);
        self.items = self.items.saturating_sub(items);
        self.returns.answered(items);
    }

    /// Makes batches no larger than this for a while. Tells whether that is news.
    pub(crate) fn limit_batches(&mut self, size: usize) -> bool {
        // A call that was made before the last limit was found may tell of a larger one.
        let size = size.min(self.limits_now().batch);
        let is_news = self.found_size.is_none_or(|(last, _)| last != size);
        self.found_size = Some((size, Instant::now() + FOUND_SIZE_STAYS));
        is_news
    }

    /// The size of the call to make now, if any.
    fn next_call(&self) -> Option<usize> {
        let limits = self.limits_now();
        let queued = self.waiting.len();
        let leaves = self.in_sight() <= limits.in_flight
            || self.lanes == 0
            || self.returns.expected == 0
            || queued >= self.enough(limits)
            || self.waiting.front().is_some_and(|(since, _)| since.elapsed() >= LONGEST_COMPANY);
        (queued > 0 && self.lanes < limits.in_flight && leaves).then_some(queued.min(limits.batch))
    }

    /// How many messages wait and are in flight.
    fn in_sight(&self) -> usize {
        self.waiting.len() + self.items
    }

    /// How many are enough for a call to leave.
    fn enough(&self, limits: Limits) -> usize {
        (self.in_sight() + self.returns.expected).div_ceil(limits.in_flight).min(limits.batch)
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
        self.returns.came(callers.len());
        let now = Instant::now();
        for caller in callers.into_iter().rev() {
            self.waiting.push_front((now, caller));
        }
    }
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

    /// The size of the next call with so many waiting, so many calls under way for so many messages, and so many expected.
    fn next(waiting: usize, lanes: usize, items: usize, expected: usize) -> Option<usize> {
        let mut queue = Queue { lanes, items, ..queue(waiting) };
        queue.returns.expected = expected;
        queue.next_call()
    }

    #[test]
    fn a_caller_alone_is_sent_at_once() {
        assert_eq!(next(1, 0, 0, 0), Some(1));
        assert_eq!(next(0, 0, 0, 0), None);
    }

    #[test]
    fn while_there_is_a_lane_for_everybody_nobody_waits() {
        assert_eq!(next(1, 1, 1, 2), Some(1));
        assert_eq!(next(1, 2, 2, 1), Some(1));
        assert_eq!(next(1, 3, 3, 1), Some(1));
        assert_eq!(next(1, 3, 4, 1), None);
        assert_eq!(next(4, 0, 0, 1), Some(4));
    }

    #[test]
    fn under_load_a_call_waits_for_enough_or_for_all_who_are_expected() {
        assert_eq!(next(15, 3, 40, 9), None);
        assert_eq!(next(16, 3, 40, 8), Some(16));
        assert_eq!(next(15, 3, 40, 0), Some(15));
        assert_eq!(next(59, 3, 4, 1), Some(59));
        assert_eq!(next(2, 1, 4, 2), Some(2));
        assert_eq!(next(1, 1, 4, 2), None);
        assert_eq!(next(1, 0, 0, 9), Some(1));
    }

    #[test]
    fn all_whom_a_call_answered_are_expected_until_they_are_back() {
        let mut queue = queue(0);
        let arrive = |queue: &mut Queue<usize>| queue.push(0, |_| false).unwrap();
        (0..30).for_each(|_| arrive(&mut queue));
        assert_eq!(queue.take().unwrap().len(), 30);
        (0..9).for_each(|_| arrive(&mut queue));
        assert_eq!(queue.take().unwrap().len(), 9, "nobody else was expected");
        queue.release(9);
        (0..8).for_each(|_| arrive(&mut queue));
        assert_eq!(queue.take(), None);
        arrive(&mut queue);
        assert_eq!(queue.take().unwrap().len(), 9);
    }

    #[test]
    fn nobody_waits_for_long_beside_a_free_lane() {
        let mut queue = queue(20);
        queue.take();
        queue.release(100);
        queue.resume(20);
        queue.put_back((0..5).collect());
        assert_eq!(queue.take(), None);
        queue.waiting[0].0 = Instant::now().checked_sub(LONGEST_COMPANY).unwrap();
        assert_eq!(queue.take().map(|batch| batch.len()), Some(5));
    }

    #[test]
    fn nobody_lets_others_in_whom_no_call_could_take_along() {
        let mut queue = Queue::new(Limits { batch: 1, in_flight: 64 });
        queue.release(1);
        queue.release(1);
        queue.push(0, |_| false).unwrap();
        assert!(queue.next_call().is_some() && !queue.is_early());
    }

    #[test]
    fn a_call_is_early_that_leaves_with_less_than_enough_while_others_are_expected() {
        assert!(!queue(1).is_early());
        let mut queue = queue(3);
        queue.take();
        queue.release(3);
        assert!(!queue.is_early());
        queue.push(0, |_| false).unwrap();
        assert!(queue.is_early());
        queue.put_back(vec![1]);
        assert!(queue.is_early());
        queue.push(2, |_| false).unwrap();
        assert!(!queue.is_early());
    }

    #[test]
    fn no_call_is_larger_or_one_too_many() {
        assert_eq!(next(4000, 3, 600, 1), Some(200));
        assert_eq!(next(4000, 4, 800, 0), None);
        let mut single = Queue::new(Limits { batch: 200, in_flight: 1 });
        single.put_back((0..500).collect::<Vec<_>>());
        assert_eq!(single.take().map(|batch| batch.len()), Some(200));
        assert_eq!(single.take(), None);
    }

    #[test]
    fn what_is_taken_is_in_order_and_counts_until_it_is_released() {
        let mut queue = queue(6);
        assert_eq!(queue.take(), Some(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(queue.take(), None);
        queue.release(6);
        queue.push(6, |_| false).unwrap();
        queue.push(7, |_| false).unwrap();
        assert_eq!(queue.take(), Some(vec![6, 7]));
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
