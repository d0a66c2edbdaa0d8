//! The built command against a real server in front of the testkit's Kubernetes and Vault.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod audit;
mod bad_input;
mod dataspace;
mod doctor;
mod documents;
mod exchange;
mod explain;
mod files;
mod help;
mod keys;
mod kubectl;
mod lint;
mod mapping;
mod notes;
mod output;
mod policy;
mod projected;
mod schema;
mod scope;
mod size;
mod stand_in;
mod tls;
mod token;
mod tour;
mod world;
