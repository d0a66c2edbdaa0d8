//! Pages of lists with filters. Each filter that is given becomes a condition of its own, so that its index is used.
//!
//! The order is that of bytes, so conditions on keys ask for it too: an index serves one collation.

use jwtlet_core::{
    audit::{Action, AuditFilter, Outcome},
    metadata::MetadataFilter,
    store::{MappingFilter, ScopeFilter},
};
use serde_json::{Map, Value};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{mapping_columns, micros::Micros, scope_columns};
use crate::rows::{MappingRow, ScopeRow, to_limit};

/// Resource mappings that match, sorted by key, after this client and participant context.
pub(super) async fn mappings(
    connection: &mut PgConnection,
    filter: &MappingFilter,
    after: Option<&(String, String)>,
    limit: usize,
) -> Result<Vec<MappingRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(mapping_columns!()).push(" FROM resource_mappings WHERE true");
    if let Some(client) = &filter.client_identifier {
        query.push(r#" AND client_identifier COLLATE "C" = "#).push_bind(client.as_str());
    }
    if let Some(context) = &filter.participant_context {
        query.push(r#" AND participant_context COLLATE "C" = "#).push_bind(context.as_str());
    }
    if let Some(scope) = &filter.scope {
        query.push(" AND scopes @> ").push_bind(vec![scope.as_str()]);
    }
    matching(&mut query, &filter.metadata);
    if let Some((client, context)) = after {
        query.push(r#" AND (client_identifier COLLATE "C", participant_context COLLATE "C") > ("#);
        query.push_bind(client).push(", ").push_bind(context).push(")");
    }
    query.push(r#" ORDER BY client_identifier COLLATE "C", participant_context COLLATE "C" LIMIT "#);
    query.push_bind(to_limit(limit));
    query.build_query_as().persistent(is_usual(&filter.metadata)).fetch_all(connection).await
}

/// Scope mappings that match, sorted by scope, after this one.
pub(super) async fn scopes(
    connection: &mut PgConnection,
    filter: &ScopeFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ScopeRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT ");
    query.push(scope_columns!()).push(r#" FROM scope_mappings WHERE scope COLLATE "C" > "#);
    query.push_bind(after.unwrap_or_default());
    if let Some(scope) = &filter.scope {
        query.push(r#" AND scope COLLATE "C" = "#).push_bind(scope.as_str());
    }
    matching(&mut query, &filter.metadata);
    query.push(r#" ORDER BY scope COLLATE "C" LIMIT "#).push_bind(to_limit(limit));
    query.build_query_as().persistent(is_usual(&filter.metadata)).fetch_all(connection).await
}

fn matching(query: &mut QueryBuilder<Postgres>, filter: &MetadataFilter) {
    if let Some(owner) = &filter.owner {
        query.push(r#" AND owner COLLATE "C" = "#).push_bind(owner.to_string());
    }
    for label in &filter.labels {
        match &label.value {
            Some(value) => {
                let pair = Map::from_iter([(label.key.to_string(), Value::from(value.as_str()))]);
                query.push(" AND labels @> ").push_bind(Value::from(pair).to_string()).push("::jsonb");
            }
            None => {
                query.push(" AND labels ? ").push_bind(label.key.to_string());
            }
        }
    }
}

/// Whether a statement is worth a place among the prepared ones of the connection: there is one for each number of labels.
fn is_usual(filter: &MetadataFilter) -> bool {
    filter.labels.is_empty()
}

/// Sequence numbers and texts of the audit records that match, the newest first, before this one.
pub(super) async fn audit(
    connection: &mut PgConnection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT sequence, record FROM audit_log WHERE true");
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
    // No text of PostgreSQL has a zero in it, so nothing matches one that does.
    if texts.iter().any(|(_, value)| value.is_some_and(|value| value.contains('\0'))) {
        return Ok(Vec::new());
    }
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_bind(value);
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND time >= ").push_bind(Micros(from.as_microsecond()));
    }
    if let Some(until) = filter.until {
        query.push(" AND time < ").push_bind(Micros(until.as_microsecond()));
    }
    if let Some(before) = before {
        query.push(" AND sequence < ").push_bind(before);
    }
    query.push(" ORDER BY sequence DESC LIMIT ").push_bind(to_limit(limit));
    // One of very many shapes: not worth a place among the prepared statements of the connection.
    query.build_query_as().persistent(false).fetch_all(connection).await
}
