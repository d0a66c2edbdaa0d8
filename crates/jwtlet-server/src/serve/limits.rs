//! The time limits of one connection: how long a head may take to arrive, and how long nothing may happen.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep};

use super::{Timeouts, activity::Activity};

/// How often a busy connection is looked at, as a part of the time that it may be idle.
const LOOKS: u32 = 4;

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The head of a request, or the rest of a body that was refused, takes too long.
    Head,
    /// Nothing happens any more.
    Idle,
}

/// Watches over one connection.
pub(super) struct Limits {
    timeouts: Timeouts,
    /// Whether what is read but no request yet is the beginning of one. HTTP/2 has frames beside requests.
    has_heads: bool,
    timer: Pin<Box<Sleep>>,
    /// The steps at which a head began to arrive, and when.
    head: Option<(usize, Instant)>,
    /// The steps since which nothing happened, and when that was seen first.
    quiet: Option<(usize, Instant)>,
}

impl Limits {
    pub(super) fn new(timeouts: Timeouts, has_heads: bool) -> Self {
        let timer = Box::pin(sleep(timeouts.idle / LOOKS));
        Self { timeouts, has_heads, timer, head: None, quiet: None }
    }

    /// Looks at a connection that has nothing to do at the moment.
    pub(super) fn poll_reached(&mut self, activity: &Activity, cx: &mut Context<'_>) -> Poll<Limit> {
        if self.has_heads && activity.is_reading() {
            let steps = activity.steps();
            if self.head.is_none_or(|(since, _)| since != steps) {
                let now = Instant::now();
                self.head = Some((steps, now));
                self.timer.as_mut().reset(now + self.timeouts.header);
            }
        } else {
            self.head = None;
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            match self.look(activity, now) {
                Ok(next) => self.timer.as_mut().reset(next),
                Err(limit) => {
                    // What is not over by then is over by force.
                    self.timer.as_mut().reset(now + self.timeouts.header);
                    return Poll::Ready(limit);
                }
            }
        }
    }

    /// When to look again.
    fn look(&mut self, activity: &Activity, now: Instant) -> Result<Instant, Limit> {
        if let Some((_, since)) = self.head {
            let end = since + self.timeouts.header;
            return if now < end { Ok(end) } else { Err(Limit::Head) };
        }
        let steps = activity.steps();
        match self.quiet {
            _ if activity.is_answering() => self.quiet = None,
            Some((seen, since)) if seen == steps => {
                let end = since + self.timeouts.idle;
                return if now < end { Ok(end) } else { Err(Limit::Idle) };
            }
            _ => self.quiet = Some((steps, now)),
        }
        Ok(now + self.timeouts.idle / LOOKS)
    }
}
