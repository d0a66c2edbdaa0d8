//! Times as PostgreSQL keeps them: whole microseconds, and two infinities.

use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, types::Oid},
};

/// From 1970, where our times begin, to 2000, where those of PostgreSQL do.
const EPOCH: i64 = 946_684_800_000_000;
/// `timestamptz` and `timestamptz[]`, which have these numbers in every PostgreSQL.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

/// A `timestamptz` in microseconds since 1970. The infinities are the largest and the smallest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Micros(pub(super) i64);

impl Micros {
    /// The time of an end; a mapping that ends at infinity does not end.
    pub(super) fn end(self) -> Option<i64> {
        (self.0 != i64::MAX).then_some(self.0)
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Micros {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let value = match self.0 {
            i64::MIN | i64::MAX => self.0,
            finite => finite.saturating_sub(EPOCH),
        };
        <i64 as Encode<Postgres>>::encode_by_ref(&value, buffer)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let value = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        Ok(Self(match value {
            i64::MIN => value,
            value => value.saturating_add(EPOCH),
        }))
    }
}
