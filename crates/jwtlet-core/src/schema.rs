//! The rules of texts as JSON Schema, for the descriptions of the APIs.
//!
//! JSON Schema counts characters where the rules count bytes of UTF-8, and has no way to count those. So a text that its
//! schema refuses is refused, and one that it accepts may still be too long when it has characters beyond ASCII.

use utoipa::openapi::{
    RefOr,
    schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type},
};

/// Which texts are good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextRule {
    /// The fewest bytes.
    pub(crate) min: usize,
    /// The most bytes.
    pub(crate) max: usize,
    /// A regular expression in the part of ECMA-262 that every engine has: without looking around.
    pub(crate) pattern: &'static str,
}

impl TextRule {
    /// The rule as a schema. The documentation of a type has a space before each line.
    pub(crate) fn schema(self, documentation: &str) -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(self.min))
            .max_length(Some(self.max))
            .pattern(Some(self.pattern))
            .description(Some(documentation.trim()));
        RefOr::T(text.build().into())
    }
}

/// A time in answers.
pub(crate) fn time() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A date and time of RFC 3339 in UTC."))
        .build()
        .into()
}

/// Any JSON value.
pub(crate) fn any() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}
