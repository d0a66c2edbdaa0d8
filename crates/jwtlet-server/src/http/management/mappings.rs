//! Resource mappings.

use axum::{body::Body, http::StatusCode, response::Response};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, PolicyStore, Scope, UpstreamError,
    change::{Change, RecordKey},
    mapping::{MappingKey, ResourceMapping},
    store::{MappingFilter, Page, Stored},
};
use jwtlet_store::Store;

use super::{
    access::{Call, Reader},
    input,
    list::{self, Listing},
    path::{self, Query},
    records::MappingInput,
    revision, write,
};
use crate::http::error::Problem;

impl Listing for MappingFilter {
    const PATH: &str = "/api/v1/mappings";
    type Key = MappingKey;
    type Item = Stored<ResourceMapping>;

    async fn read(&self, store: &Store, page: &Page<MappingKey>) -> Result<Vec<Self::Item>, UpstreamError> {
        store.list_mappings(self, page).await
    }

    fn key(item: &Self::Item) -> MappingKey {
        item.record.key().clone()
    }
}

pub(super) async fn list(Reader(call): Reader) -> Result<Response, Problem> {
    let filters = ["clientIdentifier", "participantContext", "scope", "owner", "label"];
    let query = Query::read(&call.uri, &[&filters[..], &list::PAGING].concat())?;
    let filter = MappingFilter {
        client_identifier: query.get("clientIdentifier", ClientIdentifier::parse)?,
        participant_context: query.get("participantContext", ParticipantContext::parse)?,
        scope: query.get("scope", Scope::parse)?,
        metadata: query.metadata()?,
    };
    list::answer(&call, &query, filter, None).await
}

pub(super) async fn read(Reader(call): Reader) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    match call.store().mapping(&key).await? {
        Some(stored) => Ok(revision::answer(&call.headers, &stored)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", RecordKey::Mapping(key)))),
    }
}

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let records = input::read_many::<MappingInput>(&call.headers, body, call.claim_rules()).await?;
    let location = records.items.first().filter(|_| records.is_single).map(|new| path::of_mapping(new.key()));
    let applied = write::apply(&call, records.items.into_iter().map(Change::CreateMapping).collect()).await?;
    Ok(write::created(location, &applied))
}

pub(super) async fn replace(call: Call, body: Body) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    let mapping = input::read_one::<MappingInput>(&call.headers, body, call.claim_rules()).await?;
    if *mapping.key() != key {
        let detail =
            "clientIdentifier and participantContext must be those of the path; a key cannot be changed";
        return Err(Problem::bad_request(detail));
    }
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::ReplaceMapping(mapping, condition)]).await?;
    Ok(write::done(&applied))
}

pub(super) async fn delete(call: Call, _: Body) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteMapping(key, condition)]).await?;
    Ok(write::done(&applied))
}

pub(super) async fn delete_client(call: Call, _: Body) -> Result<Response, Problem> {
    let client = path::client(&call.uri)?;
    write::refuse_conditions(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteClient(client)]).await?;
    Ok(write::done(&applied))
}
