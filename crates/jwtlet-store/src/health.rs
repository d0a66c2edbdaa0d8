//! Whether the database can serve an exchange, as its last answers tell.

use std::time::Instant;

use jwtlet_core::{health::Health, upstream::chain};
use jwtlet_upstream::{Calls, HealthCell};
use tracing::{info, warn};

use crate::error::StoreError;

/// The last outcome of a read. A change of it is logged, and nothing in between: an outage is one line, not one for each
/// request.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth {
    cell: HealthCell,
    calls: Calls,
}

impl StoreHealth {
    /// The database answered.
    pub(crate) fn succeeded(&self) {
        if self.cell.succeeded() {
            info!("the policy store can be used");
        }
    }

    /// The database did not answer.
    pub(crate) fn failed(&self, error: &StoreError) {
        if let Some(reason) = error.reason()
            && self.cell.failed(reason)
        {
            warn!(error = chain(error), "the policy store cannot be used");
        }
    }

    /// Asks the database, and takes note of what becomes of it.
    pub(crate) async fn observe<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let outcome = self.count(call).await;
        match &outcome {
            Ok(_) => self.succeeded(),
            Err(error) => self.failed(error),
        }
        outcome
    }

    /// Asks the database for something that says nothing about reads.
    pub(crate) async fn count<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let outcome = call.await;
        self.calls.ended(started.elapsed(), outcome.as_ref().err().and_then(StoreError::failure));
        outcome
    }

    /// What became of the calls so far.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whether the next read is expected to succeed.
    pub(crate) fn get(&self) -> Health {
        self.cell.get()
    }
}
