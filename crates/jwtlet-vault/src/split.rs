//! A batch that is served in parts, because a request for all of it is too large.
//!
//! What a server or a proxy in front of it takes is limited in bytes, in JSON strings or in array elements, and none of
//! them tells its limit. So a batch that is refused for its size is halved, and so are its halves, until the requests are
//! small enough; its callers wait for that within their deadlines. Later batches are kept to the size that was found.
//!
//! One message can be too large by itself, and then every batch with it is. That failure is its caller's alone, and says
//! nothing about batches: a size counts as found only when it was found without such a message.

use std::cmp::min;

use crate::{
    batch::{Failed, Unserved},
    lanes::{Lane, Lanes, Waiting},
};

impl Lanes {
    /// Serves a batch to its end. Returns the callers whom this server cannot serve in a batch.
    pub(crate) async fn serve(&self, batch: Vec<Waiting>, lane: &Lane) -> Option<Vec<Waiting>> {
        let mut parts = vec![batch];
        let mut smallest_refused = usize::MAX;
        while let Some(part) = parts.pop() {
            // A part that has others after it keeps the place for them.
            let lane = parts.is_empty().then_some(lane);
            match self.serve_together(part, lane).await {
                None => {}
                Some(Unserved::NoBatches(failed)) => {
                    parts.push(callers(failed));
                    return Some(parts.into_iter().rev().flatten().collect());
                }
                Some(Unserved::TooLarge(mut failed)) => {
                    smallest_refused = min(smallest_refused, failed.len());
                    if failed.len() == 1 {
                        self.give_up(failed);
                    } else {
                        // Those who came first are served first.
                        parts.push(callers(failed.split_off(failed.len().div_ceil(2))));
                        parts.push(callers(failed));
                    }
                }
            }
        }
        if (2..usize::MAX).contains(&smallest_refused) {
            self.limit_batches(smallest_refused.div_ceil(2));
        }
        None
    }
}

fn callers(failed: Vec<Failed>) -> Vec<Waiting> {
    failed.into_iter().map(|(caller, _)| caller).collect()
}
