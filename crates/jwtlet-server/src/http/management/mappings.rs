//! Resource mappings.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, PolicyStore, Scope, Subject,
    mapping::{MappingKey, ResourceMapping},
    role::Role,
    store::{CreateError, MappingFilter},
};
use tracing::info;

use super::{
    access::authorize,
    input, path,
    records::{MappingInput, MappingOutput},
    refuse_condition,
};
use crate::{
    clock,
    http::{Service, error::Problem},
};

fn log(actor: &Subject, action: &str, client: &ClientIdentifier, context: Option<&ParticipantContext>) {
    info!(
        actor = actor.identity.as_str(),
        uid = actor.uid.as_deref(),
        action,
        client = client.as_str(),
        context = context.map(ParticipantContext::as_str),
        "resource mapping"
    );
}

fn label(key: &MappingKey) -> String {
    format!("a mapping of {} for {}", key.client_identifier, key.participant_context)
}

fn missing(key: &MappingKey) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", label(key)))
}

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    authorize(&service, &headers, Role::Read).await?;
    let query = path::Query::read(&uri, &["clientIdentifier", "participantContext", "scope"])?;
    let filter = MappingFilter {
        client_identifier: query.filter("clientIdentifier", ClientIdentifier::parse)?,
        participant_context: query.filter("participantContext", ParticipantContext::parse)?,
        scope: query.filter("scope", Scope::parse)?,
    };
    let mappings = service.exchange.store().list_mappings(&filter).await?;
    Ok(Json(mappings.iter().map(MappingOutput::from).collect::<Vec<_>>()).into_response())
}

pub(super) async fn read(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    authorize(&service, &headers, Role::Read).await?;
    let key = path::mapping_key(&uri)?;
    let stored = service.exchange.store().mapping(&key).await?.ok_or_else(|| missing(&key))?;
    Ok(Json(MappingOutput::from(&stored)).into_response())
}

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteMappings).await?;
    let mappings = input::read_many(&headers, body, MappingInput::check).await?;
    let keys: Vec<MappingKey> = mappings.iter().map(ResourceMapping::key).cloned().collect();
    match service.exchange.store().create_mappings(mappings, clock::now()).await {
        Ok(()) => {}
        Err(CreateError::Exists(key)) => {
            let detail = format!("{} exists already or is given twice; nothing was created", label(&key));
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        Err(CreateError::Upstream(error)) => return Err(error.into()),
    }
    for key in &keys {
        log(&actor, "create", &key.client_identifier, Some(&key.participant_context));
    }
    Ok(StatusCode::CREATED.into_response())
}

pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteMappings).await?;
    let key = path::mapping_key(&uri)?;
    let mapping = input::read_one(&headers, body, MappingInput::check).await?;
    if *mapping.key() != key {
        let detail =
            "clientIdentifier and participantContext must be those of the path; a key cannot be changed";
        return Err(Problem::bad_request(detail));
    }
    refuse_condition(&headers)?;
    if !service.exchange.store().replace_mapping(mapping, clock::now()).await? {
        return Err(missing(&key));
    }
    log(&actor, "update", &key.client_identifier, Some(&key.participant_context));
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteMappings).await?;
    let key = path::mapping_key(&uri)?;
    refuse_condition(&headers)?;
    if service.exchange.store().delete_mapping(&key).await? {
        log(&actor, "delete", &key.client_identifier, Some(&key.participant_context));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn delete_client(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteMappings).await?;
    let client = path::client(&uri)?;
    refuse_condition(&headers)?;
    if service.exchange.store().delete_client(&client).await? > 0 {
        log(&actor, "delete all", &client, None);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
