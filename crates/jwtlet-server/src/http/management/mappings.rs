//! Resource mappings.

use axum::{
    Json,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, PolicyStore, Scope, Subject,
    mapping::{MappingKey, ResourceMapping},
    store::MappingFilter,
};
use tracing::info;

use super::{
    access::{Authorized, Read, WriteMappings},
    created, input, path,
    records::{MappingInput, MappingOutput},
    refuse_condition,
};
use crate::{clock, http::error::Problem};

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

fn log_key(actor: &Subject, action: &str, key: &MappingKey) {
    log(actor, action, &key.client_identifier, Some(&key.participant_context));
}

fn label(key: &MappingKey) -> String {
    format!("a mapping of {} for {}", key.client_identifier, key.participant_context)
}

fn missing(key: &MappingKey) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", label(key)))
}

pub(super) async fn list(call: Authorized<Read>) -> Result<Response, Problem> {
    let query = path::Query::read(&call.uri, &["clientIdentifier", "participantContext", "scope"])?;
    let filter = MappingFilter {
        client_identifier: query.filter("clientIdentifier", ClientIdentifier::parse)?,
        participant_context: query.filter("participantContext", ParticipantContext::parse)?,
        scope: query.filter("scope", Scope::parse)?,
    };
    let mappings = call.store().list_mappings(&filter).await?;
    Ok(Json(mappings.iter().map(MappingOutput::from).collect::<Vec<_>>()).into_response())
}

pub(super) async fn read(call: Authorized<Read>) -> Result<Response, Problem> {
    let key = path::mapping_key(&call.uri)?;
    let stored = call.store().mapping(&key).await?.ok_or_else(|| missing(&key))?;
    Ok(Json(MappingOutput::from(&stored)).into_response())
}

pub(super) async fn create(call: Authorized<WriteMappings>, body: Body) -> Result<StatusCode, Problem> {
    let mappings = input::read_many(&call.headers, body, MappingInput::check).await?;
    let keys: Vec<MappingKey> = mappings.iter().map(ResourceMapping::key).cloned().collect();
    created(call.store().create_mappings(mappings, clock::now()).await, label)?;
    for key in &keys {
        log_key(&call.actor, "create", key);
    }
    Ok(StatusCode::CREATED)
}

pub(super) async fn replace(call: Authorized<WriteMappings>, body: Body) -> Result<StatusCode, Problem> {
    let key = path::mapping_key(&call.uri)?;
    let mapping = input::read_one(&call.headers, body, MappingInput::check).await?;
    if *mapping.key() != key {
        let detail =
            "clientIdentifier and participantContext must be those of the path; a key cannot be changed";
        return Err(Problem::bad_request(detail));
    }
    refuse_condition(&call.headers)?;
    if !call.store().replace_mapping(mapping, clock::now()).await? {
        return Err(missing(&key));
    }
    log_key(&call.actor, "update", &key);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(call: Authorized<WriteMappings>) -> Result<StatusCode, Problem> {
    let key = path::mapping_key(&call.uri)?;
    refuse_condition(&call.headers)?;
    if call.store().delete_mapping(&key).await? {
        log_key(&call.actor, "delete", &key);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete_client(call: Authorized<WriteMappings>) -> Result<StatusCode, Problem> {
    let client = path::client(&call.uri)?;
    refuse_condition(&call.headers)?;
    if call.store().delete_client(&client).await? > 0 {
        log(&call.actor, "delete all", &client, None);
    }
    Ok(StatusCode::NO_CONTENT)
}
