//! What the real server tells those who run it: metrics, alerts that fire when their fault is provoked, spans and log lines.
//!
//! In a program of its own, because it needs the engine of Prometheus, which `scripts/install-promql` builds.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in helper functions too"
)]

mod alerts;
mod exposition;
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod harness;
mod neighbours;
mod own;
#[path = "../it/program.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod program;
mod promql;
mod store;
mod traces;
