//! The description of `POST /token`.

use axum::http::StatusCode;
use jwtlet_core::{Audience, ParticipantContext, Scope, subject_token::MAX_BYTES};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Object, Ref, RefOr, SchemaFormat,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::{ACCESS_TOKEN, FORM, GRANT_TYPE, JWT};
use crate::http::{
    error::OAuthBody,
    openapi::{Answer, Operation, Schemas, named, text_header},
};

/// What [`super::success`] writes.
#[derive(ToSchema)]
#[schema(as = TokenResponse)]
#[expect(dead_code, reason = "the answer is written without it, which is faster")]
struct Success<'a> {
    /// The issued token.
    access_token: &'a str,
    /// The requested type.
    #[schema(schema_with = token_types)]
    issued_token_type: &'static str,
    #[schema(schema_with = bearer)]
    token_type: &'static str,
    /// How long it is good, in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    expires_in: u32,
    /// The granted scopes in request order.
    #[schema(nullable = false)]
    scope: Option<&'a str>,
}

fn one_of<const N: usize>(values: [&str; N]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values))
}

fn token_types() -> Object {
    one_of([JWT, ACCESS_TOKEN]).build()
}

fn bearer() -> Object {
    one_of(["Bearer"]).build()
}

/// The parameters that [`super::parse`] reads.
fn request(schemas: &mut Schemas) -> RefOr<Schema> {
    schemas.push(("TokenRequest".to_owned(), parameters().into()));
    named::<ParticipantContext>(schemas);
    named::<Audience>(schemas);
    Ref::from_schema_name("TokenRequest").into()
}

fn parameters() -> Schema {
    let subject_token = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("jwt".to_owned())))
        .pattern(Some(r"^\s*[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\s*$"))
        .max_length(Some(MAX_BYTES))
        .description(Some("The service account token. White space around it is cut off."));
    let requested = one_of([JWT, ACCESS_TOKEN]).default(Some(JWT.into()));
    let audiences = ArrayBuilder::new()
        .items(Ref::from_schema_name(Audience::name()))
        .description(Some("May be given several times; at most 100 different ones."));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("grant_type", one_of([GRANT_TYPE]).build())
        .property("subject_token", subject_token.build())
        .property("subject_token_type", one_of([JWT]).build())
        .property("resource", Ref::from_schema_name(ParticipantContext::name()))
        .property("scope", scopes())
        .property("audience", audiences.build())
        .property("requested_token_type", requested.build())
        .required("grant_type")
        .required("subject_token")
        .required("subject_token_type")
        .required("resource")
        .description(Some(
            "The parameters of RFC 8693 §2.1. One without a value counts as absent, and unknown ones are ignored. None but \
             `audience` may be given twice. `actor_token` and `actor_token_type` are refused.",
        ))
        .build()
        .into()
}

/// Words of the rule for scopes with one space between them.
fn scopes() -> Object {
    let pattern = match Scope::schema() {
        RefOr::T(Schema::Object(scope)) => scope.pattern.unwrap_or_default(),
        RefOr::T(_) | RefOr::Ref(_) => String::new(),
    };
    let word = pattern.trim_start_matches('^').trim_end_matches('$');
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^(?:{word}(?: {word})*)?$")))
        .description(Some(
            "Words with exactly one space between them, each at most 256 characters; at most 1000 different ones.",
        ))
        .build()
}

/// An answer in the form of RFC 6749 §5.
fn answer(answer: Answer) -> Answer {
    answer
        .not_stored()
        .header(text_header("Pragma", "As `Cache-Control`, for old caches.").like("^no-cache$"))
}

/// An error in that form.
pub(in crate::http) fn error(about: &'static str) -> Answer {
    answer(Answer::json(about, named::<OAuthBody<'_>>))
}

pub(in crate::http) fn describe() -> Operation {
    let operation = Operation::new("exchangeToken", "Token exchange", "Exchanges a service account token (RFC 8693)")
        .about(
            "Takes the token of a service account, bound to the audience of jwtlet, and issues one for a participant \
             context. The request is not authenticated by anything but the token itself.",
        )
        .body(FORM, "At most 64 KiB.", request)
        .answers(StatusCode::OK, answer(Answer::json("The issued token.", named::<Success<'_>>)))
        .answers(
            StatusCode::TOO_MANY_REQUESTS,
            error(
                "`temporarily_unavailable`: more requests from this address or of this client than the operator allows.",
            )
            .retry(),
        )
        .answers(
            StatusCode::SERVICE_UNAVAILABLE,
            error("`temporarily_unavailable`: Kubernetes, Vault or the store does not answer.").retry(),
        );
    let errors = [
        (
            StatusCode::BAD_REQUEST,
            "The request is wrong, its subject token is refused (`invalid_request`), or granted scopes contradict each other \
             (`invalid_scope`).",
        ),
        (
            StatusCode::FORBIDDEN,
            "No mapping of the account for the participant context (`unauthorized_client`), a scope outside it \
             (`invalid_scope`), or an audience that is not allowed (`invalid_target`). Nothing is issued.",
        ),
        (StatusCode::REQUEST_TIMEOUT, "`invalid_request`: the body took longer than 30 seconds."),
        (StatusCode::PAYLOAD_TOO_LARGE, "`invalid_request`: the body is longer than 64 KiB."),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "`invalid_request`: the body is no form by its media type."),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "`server_error`: Kubernetes or Vault refuses jwtlet itself, the signing key is unusable, or a defect of jwtlet.",
        ),
    ];
    errors.into_iter().fold(operation, |operation, (status, about)| operation.answers(status, error(about)))
}
