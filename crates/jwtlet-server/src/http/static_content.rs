//! Content that stays the same while the process runs.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::{
    entity_tag,
    openapi::{Answer, Header, Operation, text_header},
};

const REVALIDATED: &str = "no-cache";

/// Bytes that are sent as they are.
pub(crate) struct StaticContent {
    media_type: &'static str,
    body: Bytes,
    tag: String,
    is_compressed: bool,
}

impl StaticContent {
    pub(crate) fn new(media_type: &'static str, body: Bytes) -> Self {
        let tag = entity_tag::of(&body);
        Self { media_type, body, tag, is_compressed: false }
    }

    /// With a body that is compressed by gzip already. Whoever shows a page can read that.
    pub(crate) fn compressed(self, is_compressed: bool) -> Self {
        Self { is_compressed, ..self }
    }

    /// The content, or 304 for a caller who has it.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let caching = [(header::CACHE_CONTROL, REVALIDATED), (header::ETAG, self.tag.as_str())];
        if entity_tag::is_known(headers, &self.tag) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        let media_type = [(header::CONTENT_TYPE, self.media_type)];
        let mut response = (caching, media_type, self.body.clone()).into_response();
        if self.is_compressed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// The operation that answers with it.
    pub(crate) fn describe(id: &str, summary: &str, answer: Answer) -> Operation {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let caching = |answer: Answer| {
            let cached = text_header("Cache-Control", "It is asked for again each time.").like("^no-cache$");
            answer.header(cached).header(TAG)
        };
        Operation::new(id, "Description", summary)
            .header("If-None-Match", "304 for one of these entity tags.", Schema::from(text))
            .answers(StatusCode::OK, caching(answer))
            .answers(StatusCode::NOT_MODIFIED, caching(Answer::empty("The caller has it.")))
    }
}

const TAG: Header = text_header("ETag", "Names this state of it.").like("^\"[0-9a-f]{32}\"$");
