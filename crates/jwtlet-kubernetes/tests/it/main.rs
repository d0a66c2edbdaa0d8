//! The verifier against a Kubernetes API server that speaks the wire protocol, its traps included.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests end the test, like the tests themselves"
)]

mod cached;
mod credentials;
mod failures;
mod health;
mod local;
mod support;
mod tls;
mod verdicts;
