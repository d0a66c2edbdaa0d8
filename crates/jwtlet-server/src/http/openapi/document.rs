//! The document of an API: all its operations, and what they share.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::{
    Components, ComponentsBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
    Ref, RefOr, Response,
    path::ParameterIn,
    response::Responses,
    schema::{ObjectBuilder, Schema, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    answer::{Answer, Header, problem, text_header},
    operation::{Operation, Schemas},
    parameter::parameter,
};
use crate::http::{probe::is_probe, static_content::StaticContent};

/// The name of the security scheme.
pub(super) const BEARER: &str = "serviceAccountToken";
/// The name of the parameter that every operation takes.
pub(super) const REQUEST_ID: &str = "RequestId";

/// What holds for a whole API.
pub(crate) struct Api {
    pub(crate) title: &'static str,
    /// In Markdown.
    pub(crate) about: &'static str,
    /// What a bearer token has to be, where there are operations that need one.
    pub(crate) bearer: Option<&'static str>,
    /// What a defect is answered with.
    pub(crate) defect: fn() -> Answer,
    /// The headers of every answer.
    pub(crate) headers: &'static [Header],
}

/// `X-Request-Id` in every answer.
pub(crate) const ANSWERED_REQUEST_ID: Header =
    text_header("X-Request-Id", "The id of the request, as log lines have it.").like("^[!-~]{1,128}$");

/// `Server` in every answer.
pub(crate) const SERVER: Header = text_header("Server", "The version of the server.").like("^jwtlet-server/");

/// Where each API describes itself.
pub(super) const PATH: &str = "/openapi.json";

fn describe() -> Operation {
    let document =
        Answer::json("The document.", |_| ObjectBuilder::new().schema_type(Type::Object).build().into());
    StaticContent::describe("getDescription", "This document (OpenAPI 3.1)", document)
}

/// The operations of an API.
#[derive(Default)]
pub(crate) struct Document {
    operations: Vec<(String, HttpMethod, Operation)>,
}

impl Document {
    pub(super) fn add(&mut self, path: &str, method: HttpMethod, operation: Operation) {
        self.operations.push((path.to_owned(), method, operation));
    }

    pub(super) fn extend(&mut self, below: &str, other: Self) {
        let moved = other.operations.into_iter();
        self.operations
            .extend(moved.map(|(path, method, operation)| (format!("{below}{path}"), method, operation)));
    }

    /// The document as it is served, by an operation of its own.
    pub(crate) fn serve(mut self, api: &Api) -> StaticContent {
        self.add(PATH, HttpMethod::Get, describe());
        // A description is JSON already.
        let json = self.describe(api).to_pretty_json().unwrap_or_default();
        StaticContent::new("application/json", json.into())
    }

    fn describe(self, api: &Api) -> OpenApi {
        let mut shared = Shared { api, schemas: Schemas::new(), problems: BTreeMap::new() };
        let mut paths = Paths::new();
        for (path, method, operation) in self.operations {
            let operation = shared.operation(operation, !is_probe(&path));
            paths.add_path_operation(path, vec![method], operation);
        }
        let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
        let info = InfoBuilder::new()
            .title(api.title)
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(api.about))
            .license(Some(license));
        OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(shared.components())).build()
    }
}

/// What operations refer to.
struct Shared<'a> {
    api: &'a Api,
    schemas: Schemas,
    problems: BTreeMap<&'static str, Response>,
}

impl Shared<'_> {
    fn operation(&mut self, operation: Operation, may_be_limited: bool) -> utoipa::openapi::path::Operation {
        self.schemas.extend(operation.schemas);
        let mut responses = Responses::new();
        let defect = (StatusCode::INTERNAL_SERVER_ERROR, Some((self.api.defect)()));
        let limited = may_be_limited.then_some((StatusCode::TOO_MANY_REQUESTS, None));
        // An operation's own answers come last and replace those.
        for (status, answer) in [defect].into_iter().chain(limited).chain(operation.answers) {
            let response = match answer {
                Some(answer) => RefOr::T(self.answer(&answer)),
                None => self.problem(status),
            };
            responses.responses.insert(status.as_u16().to_string(), response);
        }
        operation.builder.responses(responses).build()
    }

    fn answer(&mut self, answer: &Answer) -> Response {
        let mut response = answer.describe(&mut self.schemas);
        for header in self.api.headers {
            response.headers.insert(header.name().to_owned(), header.describe().into());
        }
        response
    }

    fn problem(&mut self, status: StatusCode) -> RefOr<Response> {
        let (name, answer) = problem(status);
        let response = self.answer(&answer);
        self.problems.insert(name, response);
        Ref::from_response_name(name).into()
    }

    fn components(self) -> Components {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let about = "An id for the request: 1 to 128 visible ASCII characters. It is taken over into the answer and the log; \
                     without one, or with another value, an id is made.";
        let request_id = parameter(ParameterIn::Header, "X-Request-Id", about, Schema::from(text));
        let mut components = ComponentsBuilder::new()
            .parameter(REQUEST_ID, request_id)
            .schemas_from_iter(self.schemas)
            .responses_from_iter(self.problems);
        if let Some(about) = self.api.bearer {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(about));
            components = components.security_scheme(BEARER, SecurityScheme::Http(scheme.build()));
        }
        components.build()
    }
}
