//! Calls that write: one way in for all of them, so that whatever a known caller attempts leaves a record.
//!
//! What is done is recorded by the store, together with the change. What is refused is recorded here, whichever rule
//! refused it.

use std::{pin::Pin, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    PolicyStore, Scope,
    audit::{Action, AuditEntry, AuditKey, Outcome},
    change::{Applied, Author, Change, ChangeError, Precondition, RecordKey},
    mapping::MappingKey,
    name::ApplyId,
    role::Role,
    upstream::chain,
};
use tokio::task;
use tracing::{Instrument, Span, error, info, warn};

use super::{access::Call, given_up, path, revision};
use crate::{
    clock,
    http::{
        Service,
        entity_tag::{self, Tags},
        error::Problem,
    },
};

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Makes a route's handler of a function that writes: the caller needs the role, and what is refused is recorded as an
/// attempt at this action.
pub(super) fn write<H, F>(
    role: Role,
    action: Action,
    handler: H,
) -> impl Fn(State<Arc<Service>>, Request) -> Answer + Clone + Send + Sync + 'static
where
    H: Fn(Call, Body) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    move |State(service), request| {
        let attempt = attempt(service, request, role, action, handler.clone());
        // In a task of its own: a caller who goes away early leaves a record all the same.
        let attempt = task::spawn(attempt.instrument(Span::current()));
        Box::pin(async move { attempt.await.unwrap_or_else(|error| given_up(error).into_response()) })
    }
}

async fn attempt<H, F>(
    service: Arc<Service>,
    request: Request,
    role: Role,
    action: Action,
    handler: H,
) -> Response
where
    H: Fn(Call, Body) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let (mut parts, body) = request.into_parts();
    let call = match Call::authenticate(&service, &mut parts).await {
        Ok(call) => call,
        Err(problem) => return problem.into_response(),
    };
    let (author, key) = (call.author.clone(), path::audit_key(&call.uri));
    let outcome = match call.permit(role) {
        Ok(()) => handler(call, body).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &outcome
        && problem.is_refusal()
    {
        record(&service, &author, action, key, problem).await;
    }
    outcome.into_response()
}

/// The key is that of the path, and where the path names none, what the problem says of the body.
async fn record(service: &Service, author: &Author, action: Action, key: AuditKey, problem: &Problem) {
    let key = if key == AuditKey::default() { problem.concerns().cloned().unwrap_or(key) } else { key };
    warn!(
        actor = author.subject.identity.as_str(),
        uid = author.subject.uid.as_deref(),
        action = action.name(),
        client = key.client_identifier.as_deref(),
        context = key.participant_context.as_deref(),
        scope = key.scope.as_deref(),
        reason = %problem.detail(),
        "refused policy change"
    );
    let entry = AuditEntry {
        action,
        key,
        outcome: Outcome::Refused,
        reason: Some(problem.detail().into_owned()),
        before: None,
        after: None,
    };
    let author = &Author { at: clock::now(), ..author.clone() };
    if let Err(failure) = service.exchange.store().record_refusal(entry, author).await {
        service.metrics.trail.left_out();
        error!(
            actor = author.subject.identity.as_str(),
            action = action.name(),
            error = chain(&failure),
            "a refused attempt could not be recorded"
        );
    }
}

/// Makes these changes, all or none, and logs each.
pub(super) async fn apply(call: &Call, changes: Vec<Change>) -> Result<Vec<Applied>, Problem> {
    let subjects: Vec<(Action, AuditKey)> = changes.iter().map(subject_of).collect();
    // Now, not when the call came in: its body may have taken a while.
    let author = Author { at: clock::now(), ..call.author.clone() };
    let applied = call.store().change(changes, &author).await.map_err(refusal)?;
    for ((action, key), applied) in subjects.iter().zip(&applied) {
        if *applied != Applied::Deleted(0) {
            log_change(&author, *action, key);
        }
    }
    Ok(applied)
}

/// Logs a change that was made.
pub(super) fn log_change(author: &Author, action: Action, key: &AuditKey) {
    info!(
        actor = author.subject.identity.as_str(),
        uid = author.subject.uid.as_deref(),
        apply = author.apply_id.as_ref().map(ApplyId::as_str),
        action = action.name(),
        client = key.client_identifier.as_deref(),
        context = key.participant_context.as_deref(),
        scope = key.scope.as_deref(),
        "policy change"
    );
}

fn subject_of(change: &Change) -> (Action, AuditKey) {
    let mapping = |key: &MappingKey| AuditKey::from(&RecordKey::Mapping(key.clone()));
    let scope = |scope: &Scope| AuditKey::from(&RecordKey::Scope(scope.clone()));
    match change {
        Change::CreateMapping(new) => (Action::CreateMapping, mapping(new.key())),
        Change::ReplaceMapping(new, _) => (Action::UpdateMapping, mapping(new.key())),
        Change::DeleteMapping(key, _) => (Action::DeleteMapping, mapping(key)),
        Change::DeleteClient(client) => (Action::DeleteMapping, client.into()),
        Change::CreateScope(new) => (Action::CreateScope, scope(new.scope())),
        Change::ReplaceScope(new, _) => (Action::UpdateScope, scope(new.scope())),
        Change::DeleteScope(name, _) => (Action::DeleteScope, scope(name)),
    }
}

fn refusal(error: ChangeError) -> Problem {
    match error {
        ChangeError::Exists(key) => {
            let detail = format!("{key} exists already or is given twice; nothing was created");
            Problem::new(StatusCode::CONFLICT, detail).about((&key).into())
        }
        ChangeError::Missing(key) => Problem::new(StatusCode::NOT_FOUND, format!("there is not {key}")),
        ChangeError::PreconditionFailed(_) => {
            Problem::new(StatusCode::PRECONDITION_FAILED, error.to_string())
        }
        ChangeError::Upstream(error) => error.into(),
    }
}

/// The state that the caller expects, by the strong comparison of RFC 9110 §13.1.1: a weak tag never matches, and
/// neither does one that no record ever had.
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    refuse_if_none_match(headers)?;
    let tags = entity_tag::tags(headers, &header::IF_MATCH)
        .map_err(|rule| Problem::bad_request(format!("If-Match {rule}")))?;
    Ok(match tags {
        None => Precondition::None,
        Some(Tags::Any) => Precondition::Exists,
        Some(Tags::OneOf(tags)) => {
            let strong = tags.iter().filter(|tag| !tag.is_weak);
            Precondition::OneOf(strong.filter_map(|tag| revision::parse(&tag.opaque)).collect())
        }
    })
}

/// No condition can be kept: what the call concerns is no single record, so it has no entity tag.
pub(super) fn refuse_conditions(headers: &HeaderMap) -> Result<(), Problem> {
    refuse_if_none_match(headers)?;
    if headers.contains_key(header::IF_MATCH) {
        let detail = "If-Match cannot hold here: the mappings of a client have no entity tag together";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    }
    Ok(())
}

/// Its only use in a write is to create what is not there, which is what POST does. To ignore it would replace what the
/// caller wants to keep.
fn refuse_if_none_match(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::IF_NONE_MATCH) {
        let detail = "If-None-Match cannot hold here; POST creates what does not exist";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    }
    Ok(())
}

/// 201, for a single record with its place and its entity tag.
pub(super) fn created(location: Option<String>, applied: &[Applied]) -> Response {
    match (location, applied) {
        (Some(location), [Applied::Written(revision)]) => {
            let headers = [(header::LOCATION, location), (header::ETAG, revision::tag(*revision))];
            (StatusCode::CREATED, headers).into_response()
        }
        _ => StatusCode::CREATED.into_response(),
    }
}

/// 204, for a record that was written with its entity tag.
pub(super) fn done(applied: &[Applied]) -> Response {
    match applied {
        [Applied::Written(revision)] => {
            (StatusCode::NO_CONTENT, [(header::ETAG, revision::tag(*revision))]).into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}
