//! The audit trail: read, and followed from end to end.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    PolicyStore, UpstreamError,
    audit::{Action, AuditFilter, AuditRecord, Broken, ChainHead, ChainVerifier, Hash, Outcome},
    store::Page,
};
use jwtlet_store::Store;
use serde::Serialize;
use tracing::error;

use super::{
    access::Reader,
    date_time,
    list::{self, Listing},
    path::Query,
};
use crate::http::error::Problem;

/// The records of a page when the query does not say.
const DEFAULT_LIMIT: usize = 100;

/// How many records are followed at a time.
const VERIFIED_PAGE: usize = 1_000;

const FILTERS: [&str; 10] = [
    "actor",
    "requestId",
    "applyId",
    "action",
    "outcome",
    "clientIdentifier",
    "participantContext",
    "scope",
    "from",
    "until",
];

impl Listing for AuditFilter {
    const PATH: &str = "/api/v1/audit";
    type Key = u64;
    type Item = AuditRecord;

    async fn read(&self, store: &Store, page: &Page<u64>) -> Result<Vec<AuditRecord>, UpstreamError> {
        store.audit(self, page).await
    }

    fn key(item: &AuditRecord) -> u64 {
        item.sequence
    }
}

pub(super) async fn list(Reader(call): Reader) -> Result<Response, Problem> {
    let query = Query::read(&call.uri, &[&FILTERS[..], &list::PAGING].concat())?;
    let filter = AuditFilter {
        actor: query.text("actor")?,
        request_id: query.text("requestId")?,
        apply_id: query.text("applyId")?,
        action: query.get("action", str::parse::<Action>)?,
        outcome: query.get("outcome", outcome)?,
        client_identifier: query.text("clientIdentifier")?,
        participant_context: query.text("participantContext")?,
        scope: query.text("scope")?,
        from: query.get("from", date_time::parse)?,
        until: query.get("until", date_time::parse)?,
    };
    list::answer(&call, &query, filter, Some(DEFAULT_LIMIT)).await
}

fn outcome(text: &str) -> Result<Outcome, &'static str> {
    let all = [Outcome::Applied, Outcome::Refused];
    all.into_iter().find(|outcome| outcome.name() == text).ok_or("must be applied or refused")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    intact: bool,
    /// How many records were followed and found sound.
    records: u64,
    /// The last of them.
    head: Head,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_broken: Option<FirstBroken>,
}

#[derive(Serialize)]
struct Head {
    sequence: u64,
    hash: Hash,
}

#[derive(Serialize)]
struct FirstBroken {
    sequence: u64,
    reason: String,
}

pub(super) async fn verify(Reader(call): Reader) -> Result<Response, Problem> {
    let query = Query::read(&call.uri, &["sequence", "hash"])?;
    let sequence =
        query.get("sequence", |text| text.parse::<u64>().map_err(|_| "must be the number of a record"))?;
    let noted = match (sequence, query.get("hash", str::parse::<Hash>)?) {
        (None, None) => None,
        (Some(sequence), Some(hash)) => Some(ChainHead { sequence, hash }),
        _ => {
            return Err(Problem::bad_request(
                "the query parameters sequence and hash must be given together",
            ));
        }
    };
    let mut verifier = ChainVerifier::default();
    let broken = follow(call.store(), &mut verifier, noted).await?.err();
    call.service.metrics.trail.verified(broken.is_none());
    if let Some(broken) = &broken {
        error!(sequence = broken.sequence(), reason = %broken, "the audit trail is broken");
    }
    let ChainHead { sequence, hash } = verifier.head();
    let verdict = Verdict {
        intact: broken.is_none(),
        records: sequence,
        head: Head { sequence, hash },
        first_broken: broken
            .map(|broken| FirstBroken { sequence: broken.sequence(), reason: broken.to_string() }),
    };
    Ok(Json(verdict).into_response())
}

/// Follows the chain from its beginning to its end, through the stored head and the one that was noted elsewhere.
///
/// Others append meanwhile, each time the records and the head together. So the records reach at least to the head that
/// was read before them, and no further than to the one that is read after them.
async fn follow(
    store: &Store,
    verifier: &mut ChainVerifier,
    noted: Option<ChainHead>,
) -> Result<Result<(), Broken>, UpstreamError> {
    let before = store.chain_head().await?;
    let anchors = [Some(before), noted];
    // Anchors may be at the very beginning, before the first record.
    let pass =
        |verifier: &ChainVerifier| anchors.iter().flatten().try_for_each(|anchor| verifier.passes(*anchor));
    if let Err(broken) = pass(verifier) {
        return Ok(Err(broken));
    }
    loop {
        let page = Page { after: Some(verifier.head().sequence), limit: VERIFIED_PAGE };
        let records = store.chain(&page).await?;
        for record in &records {
            if let Err(broken) = verifier.follow(record).and_then(|_| pass(verifier)) {
                return Ok(Err(broken));
            }
        }
        if records.len() < VERIFIED_PAGE {
            break;
        }
    }
    let after = store.chain_head().await?;
    let end = verifier.head().sequence;
    if end < before.sequence || end > after.sequence {
        let head = if end < before.sequence { before } else { after };
        return Ok(verifier.finish(head));
    }
    if noted.is_some_and(|noted| noted.sequence > end) {
        return Ok(Err(Broken::Missing { missing: end + 1 }));
    }
    Ok(verifier.passes(after))
}
