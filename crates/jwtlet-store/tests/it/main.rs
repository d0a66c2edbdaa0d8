//! What every policy store has to do, run on every database, and what one database has to do alone.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in helper functions too"
)]

mod apply;
mod changes;
mod concurrency;
mod conformance;
mod fixture;
mod hands;
mod lists;
mod metadata;
mod postgres;
mod postgres_adoption;
mod postgres_outages;
mod postgres_plans;
mod postgres_replicas;
mod postgres_transactions;
mod reads;
mod sqlite;
mod sqlite_outages;
mod trail;
mod values;
