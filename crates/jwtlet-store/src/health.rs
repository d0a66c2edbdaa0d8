//! Whether the database can serve an exchange, as its last answers tell.

use jwtlet_core::{health::Health, upstream::chain};
use jwtlet_upstream::HealthCell;
use tracing::{info, warn};

use crate::error::StoreError;

/// The last outcome of a read. A change of it is logged, and nothing in between: an outage is one line, not one for each
/// request.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth(HealthCell);

impl StoreHealth {
    /// The database answered.
    pub(crate) fn succeeded(&self) {
        if self.0.succeeded() {
            info!("the policy store can be used");
        }
    }

    /// The database did not answer.
    pub(crate) fn failed(&self, error: &StoreError) {
        if let Some(reason) = error.reason()
            && self.0.failed(reason)
        {
            warn!(error = chain(error), "the policy store cannot be used");
        }
    }

    /// Takes note of an outcome.
    pub(crate) fn observe<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Ok(_) => self.succeeded(),
            Err(error) => self.failed(error),
        }
        outcome
    }

    /// Whether the next read is expected to succeed.
    pub(crate) fn get(&self) -> Health {
        self.0.get()
    }
}
