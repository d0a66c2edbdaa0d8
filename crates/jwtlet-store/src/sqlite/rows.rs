//! Rows of SQLite.

use serde_json::Value;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use crate::rows::{Life, MappingRow, MetadataRow, ScopeRow};

impl FromRow<'_, SqliteRow> for MappingRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        mapping(row, metadata(row)?)
    }
}

impl FromRow<'_, SqliteRow> for ScopeRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            scope: row.try_get("scope")?,
            claims: row.try_get("claims")?,
            metadata: metadata(row)?,
            life: life(row)?,
        })
    }
}

/// A row of the statement that reads a policy.
pub(super) enum PolicyRow {
    Mapping(MappingRow),
    Scope { scope: String, claims: String },
}

impl FromRow<'_, SqliteRow> for PolicyRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        match row.try_get("scope")? {
            Some(scope) => Ok(Self::Scope { scope, claims: row.try_get("claims")? }),
            None => mapping(row, MetadataRow::default()).map(Self::Mapping),
        }
    }
}

fn mapping(row: &SqliteRow, metadata: MetadataRow) -> Result<MappingRow, sqlx::Error> {
    Ok(MappingRow {
        client_identifier: row.try_get("client_identifier")?,
        participant_context: row.try_get("participant_context")?,
        scopes: list(row, "scopes")?,
        audiences: list(row, "audiences")?,
        expires_at: row.try_get("expires_at")?,
        description: row.try_get("description")?,
        metadata,
        life: life(row)?,
    })
}

fn metadata(row: &SqliteRow) -> Result<MetadataRow, sqlx::Error> {
    Ok(MetadataRow { owner: row.try_get("owner")?, labels: row.try_get("labels")? })
}

fn life(row: &SqliteRow) -> Result<Life, sqlx::Error> {
    Ok(Life {
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        version: row.try_get("version")?,
    })
}

/// A JSON array of texts. The table lets in any array; one that is nested deeper than can be read counts as one element
/// that is no text.
fn list(row: &SqliteRow, column: &str) -> Result<Vec<Option<String>>, sqlx::Error> {
    let json: &str = row.try_get(column)?;
    let Ok(values) = serde_json::from_str::<Vec<Value>>(json) else { return Ok(vec![None]) };
    let text = |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    Ok(values.into_iter().map(text).collect())
}
