//! Keeps the policy of jwtlet: resource mappings, scope mappings, and the trail of their changes.
//!
//! One store over one of two databases: SQLite, in a file or in memory, for one node, and PostgreSQL for any number of
//! replicas. The rules of a change are written once ([`engine`]); a database only reads and writes rows.

mod cache;
mod database;
mod error;
