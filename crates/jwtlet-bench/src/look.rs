//! What all processes of a measurement used between two moments.

use std::time::Duration;

use crate::{
    disturbance::{Disturber, Outcomes},
    error::BenchError,
    fakes::{Counters, Fakes},
    usage::{cpu_time, machine_time},
};

/// The processes whose time is read.
pub(crate) struct Watched<'a> {
    /// The server, or the limit.
    pub(crate) server: u32,
    pub(crate) openbao: Option<u32>,
    pub(crate) fakes: Option<&'a mut Fakes>,
    pub(crate) disturber: Option<&'a mut Disturber>,
}

/// One look at everything.
pub(crate) struct Look {
    server: Duration,
    load: Duration,
    fakes: Option<Duration>,
    openbao: Option<Duration>,
    disturber: Option<Duration>,
    machine: Duration,
    counters: Option<Counters>,
    outcomes: Option<Outcomes>,
}

/// What each process used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    pub(crate) server: Duration,
    pub(crate) load: Duration,
    pub(crate) fakes: Option<Duration>,
    pub(crate) openbao: Option<Duration>,
    pub(crate) disturber: Option<Duration>,
    /// All CPUs together, whatever they did.
    pub(crate) machine: Duration,
    pub(crate) counted: Option<Counters>,
    pub(crate) disturbed: Option<Outcomes>,
}

impl Watched<'_> {
    pub(crate) async fn look(&mut self) -> Result<Look, BenchError> {
        let counters = match &mut self.fakes {
            Some(fakes) => Some(fakes.counters().await?),
            None => None,
        };
        let outcomes = match &mut self.disturber {
            Some(disturber) => Some(disturber.outcomes().await?),
            None => None,
        };
        let fakes = self.fakes.as_ref().map(|fakes| fakes.process_id()).transpose()?;
        let disturber = self.disturber.as_ref().map(|disturber| disturber.process_id()).transpose()?;
        Ok(Look {
            counters,
            outcomes,
            server: cpu_time(self.server)?,
            load: cpu_time(std::process::id())?,
            fakes: fakes.map(cpu_time).transpose()?,
            openbao: self.openbao.map(cpu_time).transpose()?,
            disturber: disturber.map(cpu_time).transpose()?,
            machine: machine_time(),
        })
    }
}

impl Look {
    /// What was used from this look to that one; the time between them is left for the caller, who knows when the load
    /// was counted.
    pub(crate) fn until(&self, after: &Self) -> Used {
        let both = |before: Option<Duration>, after: Option<Duration>| Some(after?.saturating_sub(before?));
        let counted = self.counters.zip(after.counters).map(|(before, after)| Counters {
            reviews: after.reviews - before.reviews,
            vault_calls: after.vault_calls - before.vault_calls,
            signatures: after.signatures - before.signatures,
        });
        Used {
            elapsed: Duration::ZERO,
            server: after.server.saturating_sub(self.server),
            load: after.load.saturating_sub(self.load),
            fakes: both(self.fakes, after.fakes),
            openbao: both(self.openbao, after.openbao),
            disturber: both(self.disturber, after.disturber),
            machine: after.machine.saturating_sub(self.machine),
            counted,
            disturbed: self.outcomes.zip(after.outcomes).map(|(before, after)| after.since(before)),
        }
    }
}
