//! Scope mappings.

use axum::{
    Json,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwtlet_core::{PolicyStore, Scope, Subject, mapping::ScopeMapping};
use tracing::info;

use super::{
    access::{Authorized, Read, WriteScopes},
    created, input, path,
    records::{ScopeInput, ScopeOutput},
    refuse_condition,
};
use crate::{clock, http::error::Problem};

fn log(actor: &Subject, action: &str, scope: &Scope) {
    let (actor, uid) = (actor.identity.as_str(), actor.uid.as_deref());
    info!(actor, uid, action, scope = scope.as_str(), "scope mapping");
}

fn label(scope: &Scope) -> String {
    format!("a scope mapping of {scope}")
}

fn missing(scope: &Scope) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is not {}", label(scope)))
}

pub(super) async fn list(call: Authorized<Read>) -> Result<Response, Problem> {
    let filter = path::Query::read(&call.uri, &["scope"])?.filter("scope", Scope::parse)?;
    let scopes = call.store().list_scopes(filter.as_ref()).await?;
    Ok(Json(scopes.iter().map(ScopeOutput::from).collect::<Vec<_>>()).into_response())
}

pub(super) async fn read(call: Authorized<Read>) -> Result<Response, Problem> {
    let scope = path::scope(&call.uri)?;
    let stored = call.store().scope(&scope).await?.ok_or_else(|| missing(&scope))?;
    Ok(Json(ScopeOutput::from(&stored)).into_response())
}

pub(super) async fn create(call: Authorized<WriteScopes>, body: Body) -> Result<StatusCode, Problem> {
    let rules = &call.service.exchange.profile().claim_rules;
    let mappings = input::read_many(&call.headers, body, |input: ScopeInput| input.check(rules)).await?;
    let scopes: Vec<Scope> = mappings.iter().map(ScopeMapping::scope).cloned().collect();
    created(call.store().create_scopes(mappings, clock::now()).await, label)?;
    for scope in &scopes {
        log(&call.actor, "create", scope);
    }
    Ok(StatusCode::CREATED)
}

pub(super) async fn replace(call: Authorized<WriteScopes>, body: Body) -> Result<StatusCode, Problem> {
    let scope = path::scope(&call.uri)?;
    let rules = &call.service.exchange.profile().claim_rules;
    let mapping = input::read_one(&call.headers, body, |input: ScopeInput| input.check(rules)).await?;
    if *mapping.scope() != scope {
        return Err(Problem::bad_request("scope must be that of the path; a key cannot be changed"));
    }
    refuse_condition(&call.headers)?;
    if !call.store().replace_scope(mapping, clock::now()).await? {
        return Err(missing(&scope));
    }
    log(&call.actor, "update", &scope);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(call: Authorized<WriteScopes>) -> Result<StatusCode, Problem> {
    let scope = path::scope(&call.uri)?;
    refuse_condition(&call.headers)?;
    if call.store().delete_scope(&scope).await? {
        log(&call.actor, "delete", &scope);
    }
    Ok(StatusCode::NO_CONTENT)
}
