//! The description of one operation.

use axum::http::StatusCode;
use jwtlet_core::role::Role;
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, Content, OneOfBuilder, Ref, RefOr, Required,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::Schema,
        security::SecurityRequirement,
    },
};

use super::{
    answer::Answer,
    document::{BEARER, REQUEST_ID},
    parameter::{QueryParameter, parameter},
};

/// The schemas that a description refers to, by name.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// Makes a schema, and adds those that it refers to.
pub(crate) type MakeSchema = fn(&mut Schemas) -> RefOr<Schema>;

/// The schema of a type, by its name.
pub(crate) fn named<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
    Ref::from_schema_name(T::name()).into()
}

/// An array of them.
pub(crate) fn many<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    ArrayBuilder::new().items(named::<T>(schemas)).build().into()
}

/// One of them or an array, in which there may be none.
pub(crate) fn one_or_many<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    OneOfBuilder::new().item(named::<T>(schemas)).item(many::<T>(schemas)).into()
}

/// Any of two.
pub(crate) fn any_of<A: ToSchema, B: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    OneOfBuilder::new().item(named::<A>(schemas)).item(named::<B>(schemas)).into()
}

/// The description of one operation.
pub(crate) struct Operation {
    pub(super) builder: OperationBuilder,
    pub(super) schemas: Schemas,
    pub(super) answers: Vec<(StatusCode, Option<Answer>)>,
}

impl Operation {
    /// What it is called in generated clients, under which heading it stands, and what it does.
    pub(crate) fn new(id: &str, heading: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag(heading)
            .summary(Some(summary))
            .parameter_ref(Ref::new(format!("#/components/parameters/{REQUEST_ID}")));
        Self { builder: operation, schemas: Vec::new(), answers: Vec::new() }
    }

    fn map(self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) -> Self {
        Self { builder: change(self.builder), ..self }
    }

    /// More about it, in Markdown.
    pub(crate) fn about(self, text: &str) -> Self {
        self.map(|operation| operation.description(Some(text)))
    }

    /// For callers with a bearer token and a role.
    pub(crate) fn for_role(self, role: Role) -> Self {
        self.map(|operation| operation.security(SecurityRequirement::new(BEARER, [role.name()]))).refused([
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::SERVICE_UNAVAILABLE,
        ])
    }

    /// With a segment of the path.
    pub(crate) fn segment<T: ToSchema>(mut self, name: &str, about: &str, example: &str) -> Self {
        let segment = parameter(ParameterIn::Path, name, about, named::<T>(&mut self.schemas));
        let segment = ParameterBuilder::from(segment).example(Some(example.into()));
        self.map(|operation| operation.parameter(segment))
    }

    /// With a header that may be sent.
    pub(crate) fn header(self, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.map(|operation| operation.parameter(parameter(ParameterIn::Header, name, about, schema)))
    }

    /// With the parameters of its query. Others are refused, and so are values that break their rule.
    pub(crate) fn query(mut self, parameters: &[QueryParameter]) -> Self {
        for parameter in parameters {
            let parameter = parameter.describe(&mut self.schemas);
            self = self.map(|operation| operation.parameter(parameter));
        }
        self.refused([StatusCode::BAD_REQUEST])
    }

    /// With a body of this media type.
    pub(crate) fn body(mut self, media_type: &str, about: &str, schema: MakeSchema) -> Self {
        let body = RequestBodyBuilder::new()
            .description(Some(about))
            .required(Some(Required::True))
            .content(media_type, Content::new(Some(schema(&mut self.schemas))))
            .build();
        self.map(|operation| operation.request_body(Some(body)))
    }

    /// With a JSON body.
    pub(crate) fn json(self, about: &str, schema: MakeSchema) -> Self {
        self.body("application/json", about, schema).refused([
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ])
    }

    /// With an answer of its own.
    pub(crate) fn answers(mut self, status: StatusCode, answer: Answer) -> Self {
        self.answers.push((status, Some(answer)));
        self
    }

    /// With the problems of these statuses, which mean the same everywhere.
    pub(crate) fn refused<const N: usize>(mut self, statuses: [StatusCode; N]) -> Self {
        self.answers.extend(statuses.map(|status| (status, None)));
        self
    }
}
