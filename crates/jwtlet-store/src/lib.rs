//! The [`PolicyStore`](jwtlet_core::PolicyStore) port.
//!
//! [`MemoryStore`] keeps the mappings for the life of the process. The conformance suite in `tests/` says what every
//! store has to do; a new one is a new module and one line in that suite.

mod memory;

pub use memory::MemoryStore;
