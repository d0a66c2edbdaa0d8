//! Applying a policy: read, compared and written in one transaction.
//!
//! Comparing and sealing thousands of records takes a while, so that is done where it keeps no other request waiting.

use std::sync::Arc;

use jwtlet_core::{
    apply::{ApplyError, Desired, Execution, MAX_OWNED, Outcome, Snapshot},
    audit::{ChainHead, Sealed},
    change::{Author, ChangeError},
    metadata::MetadataFilter,
    store::{MappingFilter, ScopeFilter},
};
use tokio::task;

use crate::{
    database::{Database, Transaction},
    engine::{ATTEMPTS, Engine, Failure, to_the_end},
    error::StoreError,
    plan::Plan,
};

/// What an apply is about to write.
struct Writes {
    plan: Plan,
    records: Vec<Sealed>,
    head: ChainHead,
}

impl<D: Database> Engine<D> {
    /// [`jwtlet_core::PolicyStore::apply`].
    pub(crate) async fn apply(
        self: Arc<Self>,
        desired: Desired,
        execution: Execution,
        author: Author,
    ) -> Result<Outcome, ApplyError> {
        let desired = Arc::new(desired);
        to_the_end(async move {
            let mut attempt = 1;
            loop {
                match self.try_apply(&desired, execution, &author).await {
                    Err(failure) if failure.is_conflict() && attempt < ATTEMPTS => {
                        self.calls().retried();
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await
        .map_err(|error| ApplyError::Upstream(error.into()))?
        .map_err(Failure::into_error)
    }

    /// [`jwtlet_core::PolicyStore::snapshot`]. No writer is let in between the two reads.
    pub(crate) async fn snapshot(
        &self,
        filter: &MetadataFilter,
        limit: usize,
    ) -> Result<Snapshot, StoreError> {
        matching(&mut self.database().begin().await?, filter, limit).await
    }

    async fn try_apply(
        &self,
        desired: &Arc<Desired>,
        execution: Execution,
        author: &Author,
    ) -> Result<Outcome, Failure<ApplyError>> {
        let mut transaction = self.database().begin().await?;
        let head = transaction.head();
        let found = read(&mut transaction, desired).await?;
        let work = {
            let (desired, author) = (Arc::clone(desired), author.clone());
            move || work_out(&desired, found, execution, head, &author)
        };
        let working = task::spawn_blocking(work);
        if execution == Execution::DryRun {
            // Other writers need not wait for what comes now.
            drop(transaction);
            return working.await.map_err(StoreError::GivenUp)?.map(|(outcome, _)| outcome);
        }
        let (outcome, writes) = working.await.map_err(StoreError::GivenUp)??;
        if let Some(Writes { plan, records, head }) = writes {
            plan.write(&mut transaction).await?;
            transaction.append(&records, head).await?;
            self.commit(transaction, &plan).await?;
        }
        Ok(outcome)
    }
}

/// The records that an apply concerns.
async fn read(
    transaction: &mut impl Transaction,
    desired: &Desired,
) -> Result<Snapshot, Failure<ApplyError>> {
    let mut found = Snapshot::default();
    if let Some(owner) = &desired.prune {
        let filter = MetadataFilter { owner: Some(owner.clone()), labels: vec![] };
        found = matching(transaction, &filter, MAX_OWNED + 1).await?;
        if found.mappings.len() > MAX_OWNED || found.scopes.len() > MAX_OWNED {
            return Err(Failure::Refused(ApplyError::TooManyOwned(owner.clone())));
        }
    }
    if !desired.mappings.is_empty() {
        let keys: Vec<_> = desired.mappings.keys().cloned().collect();
        found.mappings.extend(transaction.mappings(&keys).await?);
    }
    if !desired.scopes.is_empty() {
        let scopes: Vec<_> = desired.scopes.keys().cloned().collect();
        found.scopes.extend(transaction.scopes(&scopes).await?);
    }
    Ok(found)
}

async fn matching(
    transaction: &mut impl Transaction,
    filter: &MetadataFilter,
    limit: usize,
) -> Result<Snapshot, StoreError> {
    let mappings = MappingFilter { metadata: filter.clone(), ..MappingFilter::default() };
    let scopes = ScopeFilter { metadata: filter.clone(), ..ScopeFilter::default() };
    Ok(Snapshot {
        mappings: transaction.matching_mappings(&mappings, limit).await?,
        scopes: transaction.matching_scopes(&scopes, limit).await?,
    })
}

/// The plan, and what is to be written. A plan without changes writes nothing and needs no digest: whoever repeats an
/// apply whose answer was lost is told that it is done.
fn work_out(
    desired: &Desired,
    found: Snapshot,
    execution: Execution,
    mut head: ChainHead,
    author: &Author,
) -> Result<(Outcome, Option<Writes>), Failure<ApplyError>> {
    let (plan, changes) =
        desired.plan(found.clone()).map_err(|conflicts| Failure::Refused(ApplyError::NotOwned(conflicts)))?;
    let digest = plan.digest().map_err(StoreError::Json)?;
    let outcome = Outcome { plan, digest, revision: head.sequence };
    let Execution::Perform { expected } = execution else { return Ok((outcome, None)) };
    if changes.is_empty() {
        return Ok((outcome, None));
    }
    if expected.is_some_and(|expected| expected != digest) {
        return Err(Failure::Refused(ApplyError::PlanDiffers));
    }
    let mut plan = Plan::of(found);
    for change in &changes {
        plan.apply(change, author.at).map_err(unexpected)?;
    }
    let entries = plan.take_entries().into_iter();
    let records =
        entries.map(|entry| head.seal(entry, author)).collect::<Result<_, _>>().map_err(StoreError::Json)?;
    Ok((outcome, Some(Writes { plan, records, head })))
}

/// The changes follow from what was found, so none of them can be refused.
fn unexpected(error: ChangeError) -> Failure<ApplyError> {
    Failure::Refused(match error {
        ChangeError::Upstream(error) => ApplyError::Upstream(error),
        ChangeError::Exists(_) | ChangeError::Missing(_) | ChangeError::PreconditionFailed(_) => {
            ApplyError::PlanDiffers
        }
    })
}
