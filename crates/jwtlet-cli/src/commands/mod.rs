//! What the commands do, one module each. `records` is what mappings and scopes have in common.

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod lint;
pub(crate) mod mapping;
pub(crate) mod policy;
mod records;
pub(crate) mod scope;
pub(crate) mod shell;
pub(crate) mod token;
