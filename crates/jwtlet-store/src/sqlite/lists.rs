//! Pages of lists with filters. Each filter that is given becomes a condition of its own, so that its index is used.

use jwtlet_core::{
    audit::{Action, AuditFilter, Outcome},
    store::MappingFilter,
};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use crate::{
    error::StoreError,
    rows::{MappingRow, ScopeRow, to_limit},
};

/// Resource mappings that match, sorted by key, after this client and participant context.
pub(super) async fn mappings(
    pool: &SqlitePool,
    filter: &MappingFilter,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<Vec<MappingRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM resource_mappings WHERE true");
    if let Some(client) = &filter.client_identifier {
        query.push(" AND client_identifier = ").push_bind(client.as_str());
    }
    if let Some(context) = &filter.participant_context {
        query.push(" AND participant_context = ").push_bind(context.as_str());
    }
    if let Some(scope) = &filter.scope {
        query.push(" AND EXISTS (SELECT 1 FROM json_each(scopes) WHERE value = ");
        query.push_bind(scope.as_str()).push(")");
    }
    if let Some((client, context)) = after {
        query.push(" AND (client_identifier, participant_context) > (").push_bind(client);
        query.push(", ").push_bind(context).push(")");
    }
    query.push(" ORDER BY client_identifier, participant_context LIMIT ").push_bind(to_limit(limit));
    Ok(query.build_query_as().fetch_all(pool).await?)
}

/// Scope mappings, sorted by scope, after this one.
pub(super) async fn scopes(
    pool: &SqlitePool,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ScopeRow>, StoreError> {
    const STATEMENT: &str = "SELECT * FROM scope_mappings WHERE scope > $1 ORDER BY scope LIMIT $2";
    let after = after.unwrap_or_default();
    Ok(sqlx::query_as(STATEMENT).bind(after).bind(to_limit(limit)).fetch_all(pool).await?)
}

/// Sequence numbers and texts of the audit records that match, the newest first, before this one.
pub(super) async fn audit(
    pool: &SqlitePool,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, String)>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT sequence, record FROM audit_log WHERE true");
    let texts = [
        (" AND actor = ", filter.actor.as_deref()),
        (" AND request_id = ", filter.request_id.as_deref()),
        (" AND action = ", filter.action.map(Action::name)),
        (" AND outcome = ", filter.outcome.map(Outcome::name)),
        (" AND client_identifier = ", filter.client_identifier.as_deref()),
        (" AND participant_context = ", filter.participant_context.as_deref()),
        (" AND scope = ", filter.scope.as_deref()),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_bind(value);
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND time >= ").push_bind(from.as_microsecond());
    }
    if let Some(until) = filter.until {
        query.push(" AND time < ").push_bind(until.as_microsecond());
    }
    if let Some(before) = before {
        query.push(" AND sequence < ").push_bind(before);
    }
    query.push(" ORDER BY sequence DESC LIMIT ").push_bind(to_limit(limit));
    Ok(query.build_query_as().fetch_all(pool).await?)
}
