//! The policy as documents: applied as a whole, and exported.

use axum::{
    Json,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    PolicyStore,
    apply::{
        ApplyError, ApplyPlan, Document, Execution, MAX_DOCUMENTS, Outcome, PlannedAction, PlannedChange,
    },
    audit::{AuditKey, Hash},
    change::Author,
    name::ApplyId,
    role::Role::{Read, WriteMappings, WriteScopes},
};
use serde::Serialize;
use serde_json::Value;
use tokio::task;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    access::{Call, Reader},
    documents::{self, ApplyBody, ApplyRequest, Documents},
    given_up, input,
    parameters::{LABEL, OWNER},
    path::Query,
    records::{MappingInput, ScopeInput},
    write,
};
use crate::{
    clock,
    http::{
        error::{DocumentError, Problem},
        openapi::{Answer, Operation, QueryParameter, named},
    },
};

/// Room for as many documents of the usual size.
const MAX_BODY_BYTES: usize = 2 * input::MAX_BODY_BYTES;

/// The most conflicts that one answer tells.
const MAX_ERRORS: usize = 100;

/// What was done, or would be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Applied<'a> {
    /// What the audit records of the changes have; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    apply_id: Option<&'a ApplyId>,
    dry_run: bool,
    /// The number of the last audit record when the plan was made.
    revision: u64,
    plan_digest: Hash,
    summary: Summary,
    changes: &'a [PlannedChange],
}

/// How many records there are of which kind of change.
#[derive(Serialize, ToSchema)]
struct Summary {
    create: usize,
    change: usize,
    delete: usize,
    unchanged: usize,
}

impl Summary {
    fn of(plan: &ApplyPlan) -> Self {
        let count = |action| plan.changes.iter().filter(|change| change.action == action).count();
        Self {
            create: count(PlannedAction::Create),
            change: count(PlannedAction::Change),
            delete: count(PlannedAction::Delete),
            unchanged: plan.unchanged,
        }
    }
}

pub(super) fn describe_apply() -> Operation {
    let about = "In one transaction. Needs reading and both kinds of writing; a dry run only reading.";
    Operation::new("applyPolicy", "Policy", "Makes the policy what documents say")
        .about(about)
        .for_role(Read)
        .json("The documents, and what to do with them; at most 32 MiB.", named::<ApplyRequest>)
        .refused([StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED])
        .answers(StatusCode::OK, Answer::json("What was done, or would be.", named::<Applied<'_>>))
}

/// Whoever calls this may read. A plan shows what is there; making its changes needs the roles for both kinds too. A dry run
/// attempts no change, so its refusals leave no record.
pub(super) async fn apply(call: Call, body: Body) -> Result<Response, Problem> {
    let bytes = input::read_body(&call.headers, body, MAX_BODY_BYTES).await?;
    // Documents and records of an apply take memory, so applies take turns.
    let _turn = call.service.apply.lock().await;
    let rules = call.claim_rules().clone();
    // It computes for a while when there are many, and other requests must not wait for it.
    let read = task::spawn_blocking(move || documents::read(&bytes, &rules)).await.map_err(given_up)?;
    let ApplyBody { options, documents } = read?;
    if options.dry_run {
        let planned = async { plan(&call, documents?, Execution::DryRun, None).await };
        return Ok(planned.await.unwrap_or_else(IntoResponse::into_response));
    }
    call.permit(WriteMappings)?;
    call.permit(WriteScopes)?;
    let execution = Execution::Perform { expected: options.plan_digest };
    let id = match options.apply_id {
        Some(id) => id,
        None => new_id()?,
    };
    plan(&call, documents?, execution, Some(id)).await
}

fn new_id() -> Result<ApplyId, Problem> {
    ApplyId::parse(&Uuid::new_v4().to_string())
        .map_err(|rule| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, rule.to_string()))
}

async fn plan(
    call: &Call,
    mut documents: Documents,
    execution: Execution,
    apply_id: Option<ApplyId>,
) -> Result<Response, Problem> {
    let desired = std::mem::take(&mut documents.desired);
    // Now, not when the call came in: its body may have taken a while.
    let author = Author { at: clock::now(), apply_id, ..call.author.clone() };
    let applied = call.store().apply(desired, execution, &author).await;
    let Outcome { plan, digest, revision } = applied.map_err(|error| refusal(error, &documents))?;
    let dry_run = execution == Execution::DryRun;
    if !dry_run {
        for change in &plan.changes {
            write::log_change(&author, change.audit_action(), &AuditKey::from(&change.key));
        }
    }
    let answer = Applied {
        apply_id: author.apply_id.as_ref().filter(|_| !plan.changes.is_empty()),
        dry_run,
        revision,
        plan_digest: digest,
        summary: Summary::of(&plan),
        changes: &plan.changes,
    };
    Ok(Json(answer).into_response())
}

fn refusal(error: ApplyError, documents: &Documents) -> Problem {
    match error {
        ApplyError::NotOwned(conflicts) => {
            let told = conflicts.iter().take(MAX_ERRORS).map(|conflict| DocumentError {
                document: documents.name(&conflict.key),
                field: "owner".to_owned(),
                message: conflict.to_string(),
            });
            let errors: Vec<_> = told.collect();
            let first =
                conflicts.first().map(|first| format!("{}: owner {first}", first.key)).unwrap_or_default();
            let detail =
                format!("{} documents are of another owner than their records; {first}", conflicts.len());
            Problem::new(StatusCode::CONFLICT, detail).with_errors(errors)
        }
        ApplyError::PlanDiffers => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "planDigest is not that of the plan any more: the policy has changed; nothing was applied",
        ),
        ApplyError::TooManyOwned(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        ApplyError::Upstream(error) => error.into(),
    }
}

/// Records as documents.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Export {
    #[schema(value_type = Vec<MappingInput>)]
    resource_mappings: Vec<Value>,
    #[schema(value_type = Vec<ScopeInput>)]
    scope_mappings: Vec<Value>,
}

const QUERY: [QueryParameter; 2] = [OWNER, LABEL];

pub(super) fn describe_export() -> Operation {
    Operation::new("exportPolicy", "Policy", "Gives the records as documents, all of one moment")
        .about("400 when more than 20,000 records match.")
        .for_role(Read)
        .query(&QUERY)
        .answers(StatusCode::OK, Answer::json("The documents, sorted by key.", named::<Export>))
}

/// As many as an apply takes: an export can be applied again.
pub(super) async fn export(Reader(call): Reader) -> Result<Response, Problem> {
    let filter = Query::read(&call.uri, &QUERY)?.metadata()?;
    let _turn = call.service.apply.lock().await;
    let found = call.store().snapshot(&filter, MAX_DOCUMENTS + 1).await?;
    if found.mappings.len() + found.scopes.len() > MAX_DOCUMENTS {
        let detail = format!(
            "more than {MAX_DOCUMENTS} records match; choose fewer by owner or label, or page through the lists"
        );
        return Err(Problem::bad_request(detail));
    }
    let export = Export {
        resource_mappings: found.mappings.iter().map(|stored| stored.record.document()).collect(),
        scope_mappings: found.scopes.iter().map(|stored| stored.record.document()).collect(),
    };
    Ok(Json(export).into_response())
}
