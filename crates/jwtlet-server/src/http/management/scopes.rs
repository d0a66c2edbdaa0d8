//! Scope mappings.

use axum::{body::Body, http::StatusCode, response::Response};
use jwtlet_core::{
    PolicyStore, Scope, UpstreamError,
    change::{Change, RecordKey},
    mapping::ScopeMapping,
    role::Role::{Read, WriteScopes},
    store::{Page, ScopeFilter, Stored},
};
use jwtlet_store::Store;

use super::{
    access::{Call, Reader},
    input,
    list::{self, Listing},
    parameters::{CURSOR, ENTITY_TAG, LABEL, LIMIT, NEXT, OWNER, SCOPE, cached},
    path::{self, Query},
    records::ScopeInput,
    revision, write,
};
use crate::http::{
    error::Problem,
    openapi::{Answer, Operation, QueryParameter, many, named, one_or_many},
};

const HEADING: &str = "Scope mappings";
const QUERY: [QueryParameter; 5] = [SCOPE, OWNER, LABEL, LIMIT, CURSOR];

impl Listing for ScopeFilter {
    const PATH: &str = "/api/v1/scopes";
    type Key = Scope;
    type Item = Stored<ScopeMapping>;

    async fn read(&self, store: &Store, page: &Page<Scope>) -> Result<Vec<Self::Item>, UpstreamError> {
        store.list_scopes(self, page).await
    }

    fn key(item: &Self::Item) -> Scope {
        item.record.scope().clone()
    }
}

pub(super) fn describe_list() -> Operation {
    Operation::new("listScopes", HEADING, "Lists scope mappings, sorted by scope")
        .about(list::ABOUT)
        .for_role(Read)
        .query(&QUERY)
        .answers(StatusCode::OK, Answer::json("The mappings.", many::<Stored<ScopeMapping>>).header(NEXT))
}

pub(super) async fn list(Reader(call): Reader) -> Result<Response, Problem> {
    let query = Query::read(&call.uri, &QUERY)?;
    let filter = ScopeFilter { scope: query.get("scope", Scope::parse)?, metadata: query.metadata()? };
    list::answer(&call, &query, filter, None).await
}

/// An operation on the mapping of a scope.
fn of_one(operation: Operation) -> Operation {
    operation
        .segment::<Scope>("scope", "The scope.", "read")
        .refused([StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND])
}

pub(super) fn describe_read() -> Operation {
    cached(of_one(Operation::new("getScope", HEADING, "Reads a scope mapping").for_role(Read)))
        .answers(
            StatusCode::OK,
            Answer::json("The mapping.", named::<Stored<ScopeMapping>>).header(ENTITY_TAG),
        )
        .answers(StatusCode::NOT_MODIFIED, Answer::empty("The caller has it.").header(ENTITY_TAG))
}

pub(super) async fn read(Reader(call): Reader) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    match call.store().scope(&scope).await? {
        Some(stored) => Ok(revision::answer(&call.headers, &stored)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", RecordKey::Scope(scope)))),
    }
}

pub(super) fn describe_create() -> Operation {
    let body = "A mapping, or an array of at most 10,000; at most 16 MiB.";
    write::creates(Operation::new("createScopes", HEADING, "Creates scope mappings, all or none"))
        .for_role(WriteScopes)
        .json(body, one_or_many::<ScopeInput>)
}

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let records = input::read_many::<ScopeInput>(&call.headers, body, call.claim_rules()).await?;
    let location = records.items.first().filter(|_| records.is_single).map(|new| path::of_scope(new.scope()));
    let applied = write::apply(&call, records.items.into_iter().map(Change::CreateScope).collect()).await?;
    Ok(write::created(location, &applied))
}

pub(super) fn describe_replace() -> Operation {
    let operation = Operation::new("replaceScope", HEADING, "Replaces a scope mapping").for_role(WriteScopes);
    write::replaces(of_one(operation))
        .json("The whole mapping, with the scope of the path.", named::<ScopeInput>)
}

pub(super) async fn replace(call: Call, body: Body) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    let mapping = input::read_one::<ScopeInput>(&call.headers, body, call.claim_rules()).await?;
    if *mapping.scope() != scope {
        return Err(Problem::bad_request("scope must be that of the path; a key cannot be changed"));
    }
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::ReplaceScope(mapping, condition)]).await?;
    Ok(write::done(&applied))
}

pub(super) fn describe_delete() -> Operation {
    let operation = Operation::new("deleteScope", HEADING, "Deletes a scope mapping").for_role(WriteScopes);
    write::deletes(of_one(operation))
}

pub(super) async fn delete(call: Call, _: Body) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteScope(scope, condition)]).await?;
    Ok(write::done(&applied))
}
