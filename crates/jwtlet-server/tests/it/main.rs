//! The whole program, driven through its ports against a Kubernetes and a Vault that speak the wire protocol.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod attacks;
mod checks;
mod costs;
mod errors;
mod exchange;
mod harness;
mod keys;
mod openbao;
mod outages;
mod recovery;
mod reviews;
mod token_junk;
