//! The whole program, driven through its ports against a Kubernetes and a Vault that speak the wire protocol.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod exchange;
mod harness;
