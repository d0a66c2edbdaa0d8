//! The whole program, driven through its ports against a Kubernetes and a Vault that speak the wire protocol.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod attacks;
mod audit;
mod book;
mod certificates;
mod checks;
mod conditions;
mod config;
mod config_rules;
mod config_storage;
mod config_values;
mod costs;
mod crash;
#[cfg(feature = "dev")]
mod crowd;
mod dev;
mod errors;
mod exchange;
mod explain;
mod fleet;
mod harness;
mod keys;
mod lint;
mod management;
mod management_access;
mod management_input;
mod management_limits;
mod management_lists;
mod management_names;
mod metadata;
mod openapi;
mod openbao;
mod openbao_load;
mod outages;
mod paging;
mod policy;
mod postgres;
mod probe;
mod process;
mod program;
mod rate_limits;
mod raw;
mod recovery;
mod references;
mod refusals;
mod reviews;
mod slow_clients;
mod stopping;
mod storage;
mod tls;
mod token_junk;
