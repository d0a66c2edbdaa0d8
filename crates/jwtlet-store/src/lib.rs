//! Keeps the policy of jwtlet: resource mappings, scope mappings, and the trail of their changes.
//!
//! One store over one of two databases: SQLite, in a file or in memory, for one node, and PostgreSQL for any number of
//! replicas. The rules of a change are written once, above the databases; a database only reads and writes rows.
//!
//! Nothing depends on the database being there: [`Store::open`] contacts nothing, calls are answered with an outage until
//! [`Store::run`] has reached it, and a database that goes away and comes back needs no restart.

mod apply;
mod cache;
mod database;
mod engine;
mod error;
mod health;
mod plan;
mod postgres;
mod readings;
mod rows;
mod sqlite;
mod state;
mod store;

pub use error::StoreError;
pub use postgres::{PostgresSettings, PostgresUrlError, SslMode, UnknownSslMode};
pub use state::{Connections, PolicyCacheUse, PolicySize, StoreState};
pub use store::{Backend, Store, StoreSettings};
