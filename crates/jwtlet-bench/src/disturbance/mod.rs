//! Clients that cost the server something and get nothing: what do the good ones notice?
//!
//! They run in a process of their own, so that the load's thread is not what suffers. None of them may ever be issued a
//! token: one that is ends the row without a result.

mod flood;
mod stall;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use crate::{
    error::BenchError,
    fakes::Neighbours,
    helper::{Helper, tell, told},
};

/// How many of a crowd send something.
const SLOW_IN_A_CROWD: usize = 200;

/// What they do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Disturbance {
    /// Tokens that only the cluster can tell from good ones, each another: the signature is wrong.
    Junk,
    /// A token that was good an hour ago.
    Expired,
    /// Bodies of a megabyte whose length is not announced.
    Oversize,
    /// Requests that arrive with one byte a second.
    Slow,
    /// Connections on which nothing is asked.
    Idle,
    /// A crowd of those, and some slow ones.
    Crowd,
}

impl Disturbance {
    pub(crate) const ALL: [Self; 6] =
        [Self::Junk, Self::Expired, Self::Oversize, Self::Slow, Self::Idle, Self::Crowd];

    /// The name of the row, and of the process's argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Junk => "junk",
            Self::Expired => "expired",
            Self::Oversize => "oversize",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Crowd => "crowd",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Junk => "32 connections more with junk tokens",
            Self::Expired => "32 connections more with an expired token",
            Self::Oversize => "16 connections more with bodies of 1 MiB",
            Self::Slow => "500 connections more with a byte a second",
            Self::Idle => "10,000 idle connections more",
            Self::Crowd => "10,000 idle connections and 200 with a byte a second more",
        }
    }

    /// How many connections disturb.
    fn connections(self) -> usize {
        match self {
            Self::Junk | Self::Expired => 32,
            Self::Oversize => 16,
            Self::Slow => 500,
            Self::Idle => 10_000,
            Self::Crowd => 10_000 + SLOW_IN_A_CROWD,
        }
    }

    /// How many connections the good clients have: of bad tokens, half of the load consists.
    pub(crate) fn good_connections(self) -> usize {
        match self {
            Self::Junk | Self::Expired => 32,
            Self::Oversize | Self::Slow | Self::Idle | Self::Crowd => 64,
        }
    }
}

/// How the process runs.
#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    #[arg(long)]
    kind: Disturbance,
    #[arg(long)]
    address: SocketAddr,
    /// A subject token that is good, or expired.
    #[arg(long)]
    token: String,
}

/// What became of it so far.
#[derive(Serialize, Deserialize, Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    /// Requests answered with a client error.
    pub(crate) refused: u64,
    /// Requests answered with a server error.
    pub(crate) unavailable: u64,
    /// Connections that the server closed, with or without an answer that could still be read.
    pub(crate) closed: u64,
    /// Requests answered with success, which none deserves.
    pub(crate) accepted: u64,
}

impl Outcomes {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            refused: self.refused - before.refused,
            unavailable: self.unavailable - before.unavailable,
            closed: self.closed - before.closed,
            accepted: self.accepted - before.accepted,
        }
    }

    /// All that came to an end.
    pub(crate) fn total(self) -> u64 {
        self.refused + self.unavailable + self.closed + self.accepted
    }
}

/// What all connections of the process count together.
#[derive(Default)]
struct Counters {
    refused: AtomicU64,
    unavailable: AtomicU64,
    closed: AtomicU64,
    accepted: AtomicU64,
}

impl Counters {
    fn answered(&self, status: u16) {
        let counter = match status {
            400..500 => &self.refused,
            500.. => &self.unavailable,
            _ => &self.accepted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Outcomes {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Outcomes {
            refused: read(&self.refused),
            unavailable: read(&self.unavailable),
            closed: read(&self.closed),
            accepted: read(&self.accepted),
        }
    }
}

/// The status in the first bytes of an answer.
fn status(start: &[u8]) -> Option<u16> {
    std::str::from_utf8(start).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

#[derive(Serialize, Deserialize)]
struct Disturbing {
    connections: usize,
}

/// Disturbs until the input ends.
pub(crate) async fn serve(options: Options) -> Result<(), BenchError> {
    let Options { kind, address, token } = options;
    let counters = Arc::new(Counters::default());
    let connections = kind.connections();
    match kind {
        Disturbance::Junk => flood::junk(address, &token, connections, &counters)?,
        Disturbance::Expired => flood::expired(address, &token, connections, &counters),
        Disturbance::Oversize => flood::oversize(address, connections, &counters),
        Disturbance::Slow => stall::slow(address, &token, connections, &counters),
        Disturbance::Idle => stall::idle(address, connections, &counters).await?,
        Disturbance::Crowd => {
            stall::slow(address, &token, SLOW_IN_A_CROWD, &counters);
            stall::idle(address, connections - SLOW_IN_A_CROWD, &counters).await?;
        }
    }
    tell(&Disturbing { connections })?;
    let mut lines = told();
    while let Ok(Some(_)) = lines.next_line().await {
        tell(&counters.read())?;
    }
    Ok(())
}

/// The process, seen from the benchmark.
pub(crate) struct Disturber {
    helper: Helper,
}

impl Disturber {
    /// Begins to disturb this server; returns when all connections are open that stay open.
    pub(crate) async fn start(
        kind: Disturbance,
        address: SocketAddr,
        neighbours: &Neighbours,
    ) -> Result<Self, BenchError> {
        let token = match kind {
            Disturbance::Expired => &neighbours.expired_token,
            _ => neighbours.subject_tokens.first().ok_or(BenchError::Nothing)?,
        };
        let arguments =
            [format!("--kind={}", kind.name()), format!("--address={address}"), format!("--token={token}")];
        let (helper, Disturbing { .. }) = Helper::start("disturb", &arguments).await?;
        Ok(Self { helper })
    }

    pub(crate) async fn outcomes(&mut self) -> Result<Outcomes, BenchError> {
        self.helper.ask("counters").await
    }

    pub(crate) fn process_id(&self) -> Result<u32, BenchError> {
        self.helper.process_id()
    }
}
