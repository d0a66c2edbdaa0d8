//! Scope mappings.

use axum::{body::Body, http::StatusCode, response::Response};
use jwtlet_core::{
    PolicyStore, Scope, UpstreamError,
    change::{Change, RecordKey},
    mapping::ScopeMapping,
    store::{Page, ScopeFilter, Stored},
};
use jwtlet_store::Store;

use super::{
    access::{Call, Reader},
    input,
    list::{self, Listing},
    path::{self, Query},
    records::ScopeInput,
    revision, write,
};
use crate::http::error::Problem;

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

pub(super) async fn list(Reader(call): Reader) -> Result<Response, Problem> {
    let query = Query::read(&call.uri, &[&["scope", "owner", "label"][..], &list::PAGING].concat())?;
    let filter = ScopeFilter { scope: query.get("scope", Scope::parse)?, metadata: query.metadata()? };
    list::answer(&call, &query, filter, None).await
}

pub(super) async fn read(Reader(call): Reader) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    match call.store().scope(&scope).await? {
        Some(stored) => Ok(revision::answer(&call.headers, &stored)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", RecordKey::Scope(scope)))),
    }
}

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let records = input::read_many::<ScopeInput>(&call.headers, body, call.claim_rules()).await?;
    let location = records.items.first().filter(|_| records.is_single).map(|new| path::of_scope(new.scope()));
    let applied = write::apply(&call, records.items.into_iter().map(Change::CreateScope).collect()).await?;
    Ok(write::created(location, &applied))
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

pub(super) async fn delete(call: Call, _: Body) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteScope(scope, condition)]).await?;
    Ok(write::done(&applied))
}
