//! Answers: those of one operation, and the problems that mean the same everywhere.

use axum::http::StatusCode;
use utoipa::openapi::{
    Content, HeaderBuilder, RefOr, Response, ResponseBuilder,
    extensions::Extensions,
    schema::{ObjectBuilder, Schema, Type},
};

use super::operation::{MakeSchema, Schemas, named};
use crate::http::error::ProblemBody;

/// An answer with its headers and its body.
pub(crate) struct Answer {
    about: &'static str,
    headers: Vec<Header>,
    content: Vec<(&'static str, MakeSchema)>,
}

/// A header of an answer.
pub(crate) struct Header {
    name: &'static str,
    about: &'static str,
    pattern: Option<&'static str>,
    is_always_there: bool,
}

/// A header with a text.
pub(crate) const fn text_header(name: &'static str, about: &'static str) -> Header {
    Header { name, about, pattern: None, is_always_there: true }
}

impl Header {
    /// Its value matches this.
    pub(crate) const fn like(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// It may be missing.
    pub(crate) const fn sometimes(self) -> Self {
        Self { is_always_there: false, ..self }
    }

    pub(super) fn describe(&self) -> utoipa::openapi::Header {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(self.pattern);
        // The builder has no `required`; extensions are written as they are.
        let required = self.is_always_there.then(|| Extensions::from_iter([("required", true)]));
        HeaderBuilder::new()
            .schema(Some(Schema::from(schema.build())))
            .description(Some(self.about))
            .extensions(required)
            .build()
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

const NO_STORE: Header = text_header("Cache-Control", "Nobody keeps it.").like("^no-store$");
const RETRY_AFTER: Header =
    text_header("Retry-After", "When to come back, in seconds.").like("^[1-9][0-9]*$");
const CHALLENGE: Header =
    text_header("WWW-Authenticate", "What is needed (RFC 6750 §3).").like("^Bearer realm=\"jwtlet\"");

impl Answer {
    /// Without a body.
    pub(crate) fn empty(about: &'static str) -> Self {
        Self { about, headers: Vec::new(), content: Vec::new() }
    }

    /// With a body of this media type.
    pub(crate) fn of(about: &'static str, media_type: &'static str, schema: MakeSchema) -> Self {
        Self { content: vec![(media_type, schema)], ..Self::empty(about) }
    }

    /// With a JSON body.
    pub(crate) fn json(about: &'static str, schema: MakeSchema) -> Self {
        Self::of(about, "application/json", schema)
    }

    /// With a text.
    pub(crate) fn text(about: &'static str) -> Self {
        Self::of(about, "text/plain", any_text).header(NO_STORE)
    }

    /// As a text of another media type, for those who accept that.
    pub(crate) fn or_text(mut self, media_type: &'static str) -> Self {
        self.content.push((media_type, any_text));
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// With `Retry-After`.
    pub(crate) fn retry(self) -> Self {
        self.header(RETRY_AFTER)
    }

    /// With `Cache-Control: no-store`.
    pub(crate) fn not_stored(self) -> Self {
        self.header(NO_STORE)
    }

    pub(super) fn describe(&self, schemas: &mut Schemas) -> Response {
        let mut response = ResponseBuilder::new().description(self.about);
        for header in &self.headers {
            response = response.header(header.name, header.describe());
        }
        for (media_type, schema) in &self.content {
            response = response.content(*media_type, Content::new(Some(schema(schemas))));
        }
        response.build()
    }
}

fn any_text(_: &mut Schemas) -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).build().into())
}

/// What a defect is answered with where problems are.
pub(crate) fn defect() -> Answer {
    problem(StatusCode::INTERNAL_SERVER_ERROR).1
}

/// The problem of a status: its name in the document, and the answer.
pub(super) fn problem(status: StatusCode) -> (&'static str, Answer) {
    let (name, about) = match status {
        StatusCode::BAD_REQUEST => ("BadRequest", "The request breaks a rule; `detail` names it."),
        StatusCode::UNAUTHORIZED => ("Unauthorized", "No bearer token, or one that is refused."),
        StatusCode::FORBIDDEN => ("Forbidden", "The account has no role for the call."),
        StatusCode::NOT_FOUND => ("NotFound", "There is no such record, or nothing at this path."),
        StatusCode::REQUEST_TIMEOUT => ("RequestTimeout", "The body took longer than 30 seconds."),
        StatusCode::CONFLICT => ("Conflict", "It contradicts what there is; nothing was changed."),
        StatusCode::PRECONDITION_FAILED => {
            ("PreconditionFailed", "A condition does not hold, or cannot hold here; nothing was changed.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("ContentTooLarge", "The body is too long."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("UnsupportedMediaType", "The body is not JSON by its media type.")
        }
        StatusCode::TOO_MANY_REQUESTS => (
            "TooManyRequests",
            "More requests from this address or of this client than the operator allows (`[limits]`).",
        ),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("ServiceUnavailable", "A system that is needed does not answer; try again.")
        }
        _ => ("InternalServerError", "A defect of jwtlet; its operator's log has the cause."),
    };
    let answer = Answer::of(about, "application/problem+json", named::<ProblemBody<'_>>);
    let answer = answer.not_stored();
    let answer = match status {
        StatusCode::UNAUTHORIZED => answer.header(CHALLENGE),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => answer.retry(),
        _ => answer,
    };
    (name, answer)
}
