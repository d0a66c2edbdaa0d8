//! Resource mappings.

use axum::{body::Body, http::StatusCode, response::Response};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, PolicyStore, Scope, UpstreamError,
    change::{Change, RecordKey},
    mapping::{MappingKey, ResourceMapping},
    role::Role::{Read, WriteMappings},
    store::{MappingFilter, Page, Stored},
};
use jwtlet_store::Store;

use super::{
    access::{Call, Reader},
    input,
    list::{self, Listing},
    parameters::{CLIENT, CONTEXT, CURSOR, ENTITY_TAG, LABEL, LIMIT, NEXT, OWNER, SCOPE, cached},
    path::{self, Query},
    records::MappingInput,
    revision, write,
};
use crate::http::{
    error::Problem,
    openapi::{Answer, Operation, QueryParameter, many, named, one_or_many},
};

const HEADING: &str = "Resource mappings";
const QUERY: [QueryParameter; 7] = [CLIENT, CONTEXT, SCOPE, OWNER, LABEL, LIMIT, CURSOR];

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

pub(super) fn describe_list() -> Operation {
    Operation::new("listMappings", HEADING, "Lists resource mappings, sorted by key")
        .about(list::ABOUT)
        .for_role(Read)
        .query(&QUERY)
        .answers(StatusCode::OK, Answer::json("The mappings.", many::<Stored<ResourceMapping>>).header(NEXT))
}

pub(super) async fn list(Reader(call): Reader) -> Result<Response, Problem> {
    let query = Query::read(&call.uri, &QUERY)?;
    let filter = MappingFilter {
        client_identifier: query.get("clientIdentifier", ClientIdentifier::parse)?,
        participant_context: query.get("participantContext", ParticipantContext::parse)?,
        scope: query.get("scope", Scope::parse)?,
        metadata: query.metadata()?,
    };
    list::answer(&call, &query, filter, None).await
}

/// An operation on the mapping of a client and a participant context.
fn of_one(operation: Operation) -> Operation {
    operation
        .segment::<ClientIdentifier>("client", "The client.", "system:serviceaccount:demo:connector")
        .segment::<ParticipantContext>("context", "The participant context.", "acme")
        .refused([StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND])
}

pub(super) fn describe_read() -> Operation {
    let operation = Operation::new("getMapping", HEADING, "Reads a resource mapping").for_role(Read);
    cached(of_one(operation))
        .answers(
            StatusCode::OK,
            Answer::json("The mapping.", named::<Stored<ResourceMapping>>).header(ENTITY_TAG),
        )
        .answers(StatusCode::NOT_MODIFIED, Answer::empty("The caller has it.").header(ENTITY_TAG))
}

pub(super) async fn read(Reader(call): Reader) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    match call.store().mapping(&key).await? {
        Some(stored) => Ok(revision::answer(&call.headers, &stored)),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", RecordKey::Mapping(key)))),
    }
}

pub(super) fn describe_create() -> Operation {
    let body = "A mapping, or an array of at most 10,000; at most 16 MiB.";
    write::creates(Operation::new("createMappings", HEADING, "Creates resource mappings, all or none"))
        .for_role(WriteMappings)
        .json(body, one_or_many::<MappingInput>)
}

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let records = input::read_many::<MappingInput>(&call.headers, body, call.claim_rules()).await?;
    let location = records.items.first().filter(|_| records.is_single).map(|new| path::of_mapping(new.key()));
    let applied = write::apply(&call, records.items.into_iter().map(Change::CreateMapping).collect()).await?;
    Ok(write::created(location, &applied))
}

pub(super) fn describe_replace() -> Operation {
    let operation =
        Operation::new("replaceMapping", HEADING, "Replaces a resource mapping").for_role(WriteMappings);
    write::replaces(of_one(operation))
        .json("The whole mapping, with the key of the path.", named::<MappingInput>)
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

pub(super) fn describe_delete() -> Operation {
    let operation =
        Operation::new("deleteMapping", HEADING, "Deletes a resource mapping").for_role(WriteMappings);
    write::deletes(of_one(operation))
}

pub(super) async fn delete(call: Call, _: Body) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    let condition = write::precondition(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteMapping(key, condition)]).await?;
    Ok(write::done(&applied))
}

pub(super) fn describe_delete_client() -> Operation {
    Operation::new("deleteMappingsOfClient", HEADING, "Deletes all resource mappings of a client")
        .about("A condition cannot hold here: `If-Match` and `If-None-Match` are always answered with 412.")
        .for_role(WriteMappings)
        .segment::<ClientIdentifier>("client", "The client.", "system:serviceaccount:demo:connector")
        .refused([StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED])
        .answers(StatusCode::NO_CONTENT, Answer::empty("There are none any more."))
}

pub(super) async fn delete_client(call: Call, _: Body) -> Result<Response, Problem> {
    let client = path::client(&call.uri)?;
    write::refuse_conditions(&call.headers)?;
    let applied = write::apply(&call, vec![Change::DeleteClient(client)]).await?;
    Ok(write::done(&applied))
}
