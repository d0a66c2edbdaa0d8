//! Scope mappings.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use jwtlet_core::{PolicyStore, Scope, Subject, mapping::ScopeMapping, role::Role, store::CreateError};
use tracing::info;

use super::{
    access::authorize,
    input, path,
    records::{ScopeInput, ScopeOutput},
    refuse_condition,
};
use crate::{
    clock,
    http::{Service, error::Problem},
};

fn log(actor: &Subject, action: &str, scope: &Scope) {
    let (actor, uid) = (actor.identity.as_str(), actor.uid.as_deref());
    info!(actor, uid, action, scope = scope.as_str(), "scope mapping");
}

fn missing(scope: &Scope) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is not a scope mapping of {scope}"))
}

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    authorize(&service, &headers, Role::Read).await?;
    let filter = path::Query::read(&uri, &["scope"])?.filter("scope", Scope::parse)?;
    let scopes = service.exchange.store().list_scopes(filter.as_ref()).await?;
    Ok(Json(scopes.iter().map(ScopeOutput::from).collect::<Vec<_>>()).into_response())
}

pub(super) async fn read(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    authorize(&service, &headers, Role::Read).await?;
    let scope = path::scope(&uri)?;
    let stored = service.exchange.store().scope(&scope).await?.ok_or_else(|| missing(&scope))?;
    Ok(Json(ScopeOutput::from(&stored)).into_response())
}

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteScopes).await?;
    let rules = &service.exchange.profile().claim_rules;
    let mappings = input::read_many(&headers, body, |input: ScopeInput| input.check(rules)).await?;
    let scopes: Vec<Scope> = mappings.iter().map(ScopeMapping::scope).cloned().collect();
    match service.exchange.store().create_scopes(mappings, clock::now()).await {
        Ok(()) => {}
        Err(CreateError::Exists(scope)) => {
            let detail =
                format!("a scope mapping of {scope} exists already or is given twice; nothing was created");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        Err(CreateError::Upstream(error)) => return Err(error.into()),
    }
    for scope in &scopes {
        log(&actor, "create", scope);
    }
    Ok(StatusCode::CREATED.into_response())
}

pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteScopes).await?;
    let scope = path::scope(&uri)?;
    let rules = &service.exchange.profile().claim_rules;
    let mapping = input::read_one(&headers, body, |input: ScopeInput| input.check(rules)).await?;
    if *mapping.scope() != scope {
        return Err(Problem::bad_request("scope must be that of the path; a key cannot be changed"));
    }
    refuse_condition(&headers)?;
    if !service.exchange.store().replace_scope(mapping, clock::now()).await? {
        return Err(missing(&scope));
    }
    log(&actor, "update", &scope);
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let actor = authorize(&service, &headers, Role::WriteScopes).await?;
    let scope = path::scope(&uri)?;
    refuse_condition(&headers)?;
    if service.exchange.store().delete_scope(&scope).await? {
        log(&actor, "delete", &scope);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
