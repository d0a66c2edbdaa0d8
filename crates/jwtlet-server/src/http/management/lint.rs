//! A review of the whole policy.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwtlet_core::{
    PolicyStore,
    lint::{Lint, Report},
    role::Role::Read,
    store::{MappingFilter, Page, ScopeFilter},
};
use tokio::task;

use super::{access::Reader, given_up, parameters::LIMIT, path::Query};
use crate::{
    clock,
    http::{
        error::Problem,
        openapi::{Answer, Operation, QueryParameter, named},
    },
};

/// The most findings of one answer when the query does not say.
const DEFAULT_LIMIT: usize = 1_000;

/// How many records are read at a time.
const PAGE: usize = 1_000;

const QUERY: [QueryParameter; 1] = [LIMIT];

pub(super) fn describe() -> Operation {
    Operation::new("reviewPolicy", "Policy", "Tells what of the policy is odd")
        .about("1000 findings at most, unless `limit` says otherwise.")
        .for_role(Read)
        .query(&QUERY)
        .answers(StatusCode::OK, Answer::json("What was found.", named::<Report>))
}

pub(super) async fn answer(Reader(call): Reader) -> Result<Response, Problem> {
    let limit = Query::read(&call.uri, &QUERY)?.limit()?.unwrap_or(DEFAULT_LIMIT);
    let _turn = call.service.review.lock().await;
    let mut lint = Lint::new(call.claim_rules().clone(), clock::now(), limit);
    let mut page = Page::first(PAGE);
    loop {
        let scopes = call.store().list_scopes(&ScopeFilter::default(), &page).await?;
        let Some(last) = scopes.last() else { break };
        page.after = Some(last.record.scope().clone());
        for stored in &scopes {
            lint.scope(&stored.record);
        }
    }
    let mut page = Page::first(PAGE);
    loop {
        let mappings = call.store().list_mappings(&MappingFilter::default(), &page).await?;
        let Some(last) = mappings.last() else { break };
        page.after = Some(last.record.key().clone());
        for stored in &mappings {
            lint.mapping(&stored.record);
        }
    }
    // It computes for a while when the policy is large, and other requests must not wait for it.
    let report = task::spawn_blocking(|| lint.finish()).await.map_err(given_up)?;
    Ok(Json(report).into_response())
}
