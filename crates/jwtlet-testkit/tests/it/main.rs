//! The fakes, asked over HTTP as their clients ask.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod discovery;
mod faults;
mod http;
mod keys;
mod kubernetes_login;
mod lifecycle;
mod log_capture;
mod postgres;
mod reviews;
mod sign_batches;
mod signatures;
mod token_requests;
mod vault_access;
mod vault_tokens;
