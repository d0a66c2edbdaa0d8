//! Rows as PostgreSQL gives them.

use sqlx::{
    Decode, FromRow, Postgres, Row, Type,
    error::BoxDynError,
    postgres::{PgRow, PgTypeInfo, PgValueRef},
};

use super::micros::Micros;
use crate::rows::{Life, MappingRow, MetadataRow, ScopeRow};

/// A list of texts. One of a shape that a list of names never has (several dimensions, another first index) becomes a
/// single element that is no text, so that it is left out instead of keeping other rows from being read.
struct Names(Vec<Option<String>>);

impl Type<Postgres> for Names {
    fn type_info() -> PgTypeInfo {
        <Vec<String> as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Names {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(Vec::decode(value).unwrap_or_else(|_| vec![None])))
    }
}

impl FromRow<'_, PgRow> for MappingRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        mapping(row, metadata(row)?)
    }
}

impl FromRow<'_, PgRow> for ScopeRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            scope: row.try_get("scope")?,
            claims: row.try_get("claims")?,
            metadata: metadata(row)?,
            life: life(row)?,
        })
    }
}

/// A row of `resource_mappings` with this owner and these labels.
pub(super) fn mapping(row: &PgRow, metadata: MetadataRow) -> Result<MappingRow, sqlx::Error> {
    Ok(MappingRow {
        client_identifier: row.try_get("client_identifier")?,
        participant_context: row.try_get("participant_context")?,
        scopes: row.try_get::<Names, _>("scopes")?.0,
        audiences: row.try_get::<Names, _>("audiences")?.0,
        expires_at: row.try_get::<Option<Micros>, _>("expires_at")?.and_then(Micros::end),
        description: row.try_get("description")?,
        metadata,
        life: life(row)?,
    })
}

fn metadata(row: &PgRow) -> Result<MetadataRow, sqlx::Error> {
    Ok(MetadataRow { owner: row.try_get("owner")?, labels: row.try_get("labels")? })
}

fn life(row: &PgRow) -> Result<Life, sqlx::Error> {
    Ok(Life {
        created_at: row.try_get::<Micros, _>("created_at")?.0,
        updated_at: row.try_get::<Micros, _>("updated_at")?.0,
        version: row.try_get("version")?,
    })
}
