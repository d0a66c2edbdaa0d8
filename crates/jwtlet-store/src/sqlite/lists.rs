//! Pages of lists with filters. Each filter that is given becomes a condition of its own, so that its index is used.

use jwtlet_core::{
    audit::{Action, AuditFilter, Outcome},
    metadata::MetadataFilter,
    store::{MappingFilter, ScopeFilter},
};
use sqlx::{QueryBuilder, Sqlite, SqliteExecutor, SqlitePool};

use crate::{
    error::StoreError,
    rows::{MappingRow, ScopeRow, to_limit},
};

/// Resource mappings that match, sorted by key, after this client and participant context.
pub(super) async fn mappings(
    executor: impl SqliteExecutor<'_>,
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
    matching(&mut query, &filter.metadata);
    if let Some((client, context)) = after {
        query.push(" AND (client_identifier, participant_context) > (").push_bind(client);
        query.push(", ").push_bind(context).push(")");
    }
    query.push(" ORDER BY client_identifier, participant_context LIMIT ").push_bind(to_limit(limit));
    Ok(query.build_query_as().fetch_all(executor).await?)
}

/// Scope mappings that match, sorted by scope, after this one.
pub(super) async fn scopes(
    executor: impl SqliteExecutor<'_>,
    filter: &ScopeFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ScopeRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM scope_mappings WHERE scope > ");
    query.push_bind(after.unwrap_or_default());
    if let Some(scope) = &filter.scope {
        query.push(" AND scope = ").push_bind(scope.as_str());
    }
    matching(&mut query, &filter.metadata);
    query.push(" ORDER BY scope LIMIT ").push_bind(to_limit(limit));
    Ok(query.build_query_as().fetch_all(executor).await?)
}

/// Labels are looked for in every record that has any: the index leads to those alone.
fn matching(query: &mut QueryBuilder<Sqlite>, filter: &MetadataFilter) {
    if let Some(owner) = &filter.owner {
        query.push(" AND owner = ").push_bind(owner.to_string());
    }
    if !filter.labels.is_empty() {
        query.push(" AND labels IS NOT NULL");
    }
    for label in &filter.labels {
        query
            .push(" AND EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ")
            .push_bind(label.key.to_string());
        if let Some(value) = &label.value {
            query.push(" AND value = ").push_bind(value.to_string());
        }
        query.push(")");
    }
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
        (" AND apply_id = ", filter.apply_id.as_deref()),
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
