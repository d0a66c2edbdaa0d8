//! The parameters of queries that several calls take, and the headers of conditions.

use jwtlet_core::{
    ClientIdentifier, ParticipantContext, Scope,
    metadata::MAX_LABELS,
    name::{LabelKey, LabelValue, Owner},
};
use utoipa::{
    PartialSchema,
    openapi::{
        ArrayBuilder, KnownFormat, RefOr, SchemaFormat,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::path::MAX_LIMIT;
use crate::http::openapi::{Header, Operation, QueryParameter, Schemas, text_header};

pub(super) const CLIENT: QueryParameter =
    QueryParameter::of::<ClientIdentifier>("clientIdentifier", "Only records of this client.");
pub(super) const CONTEXT: QueryParameter = QueryParameter::of::<ParticipantContext>(
    "participantContext",
    "Only records for this participant context.",
);
pub(super) const SCOPE: QueryParameter =
    QueryParameter::of::<Scope>("scope", "Only records with this scope.");
pub(super) const OWNER: QueryParameter = QueryParameter::of::<Owner>("owner", "Only records of this owner.");
pub(super) const LABEL: QueryParameter = QueryParameter::new(
    "label",
    "Only records with this label: `key=value`, or `key` for any value. Several have to match together.",
    labels,
);
pub(super) const LIMIT: QueryParameter = QueryParameter::new("limit", "The most items of the answer.", limit);
pub(super) const CURSOR: QueryParameter =
    QueryParameter::new("cursor", "Where to go on: from the `Link` header of a page, opaque.", cursor);

fn labels(_: &mut Schemas) -> RefOr<Schema> {
    let selector = match (LabelKey::schema(), LabelValue::schema()) {
        (RefOr::T(Schema::Object(key)), RefOr::T(Schema::Object(value))) => {
            let (key, value) = (key.pattern.unwrap_or_default(), value.pattern.unwrap_or_default());
            let inner = |pattern: &str| pattern.trim_start_matches('^').trim_end_matches('$').to_owned();
            format!("^{}(?:={})?$", inner(&key), inner(&value))
        }
        _ => String::new(),
    };
    let selector = ObjectBuilder::new().schema_type(Type::String).pattern(Some(selector));
    ArrayBuilder::new().items(selector).max_items(Some(MAX_LABELS)).build().into()
}

fn limit(_: &mut Schemas) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_LIMIT));
    Schema::from(number.build()).into()
}

fn cursor(_: &mut Schemas) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]+$"));
    Schema::from(text.build()).into()
}

/// A text that is not empty.
pub(super) fn text(_: &mut Schemas) -> RefOr<Schema> {
    Schema::from(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build()).into()
}

/// A time.
pub(super) fn date_time(_: &mut Schemas) -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    Schema::from(ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()).into()
}

/// The link to the next page.
pub(super) const NEXT: Header =
    text_header("Link", "The next page (RFC 8288), when there is more: `</api/v1/…>; rel=\"next\"`.")
        .like("^</api/v1/[^>]*>; rel=\"next\"$")
        .sometimes();

/// The tag of a record.
pub(super) const ENTITY_TAG: Header =
    text_header("ETag", "Names this state of the record.").like("^\"v[0-9]+-[0-9]+\"$");

/// An operation that may be bound to a state of its record.
pub(super) fn conditional(operation: Operation) -> Operation {
    // A list as RFC 9110 §5.6.1 has it, in which elements may be empty.
    let tag = r#"(?:W/)?"[!#-~\u0080-\u00ff]*""#;
    let pattern = format!(r"^(?:\*|[ ,]*{tag}(?: *,[ ,]*{tag})*[ ,]*)$");
    let tags = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let about = "Only in one of these states: `*`, or entity tags, compared strongly.";
    operation.header("If-Match", about, Schema::from(tags.build()))
}

/// An operation that a caller may skip who has the record already.
pub(super) fn cached(operation: Operation) -> Operation {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let about = "304 for one of these entity tags, compared weakly. What is none holds nothing back.";
    operation.header("If-None-Match", about, Schema::from(text))
}
