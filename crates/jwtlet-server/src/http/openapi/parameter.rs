//! Parameters.

use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Schema,
    },
};

use super::operation::{Schemas, named};

/// A parameter of a query: queries are checked by the tables that they are described by.
pub(crate) struct QueryParameter {
    pub(crate) name: &'static str,
    about: &'static str,
    schema: fn(&mut Schemas) -> RefOr<Schema>,
}

impl QueryParameter {
    /// With this schema.
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        schema: fn(&mut Schemas) -> RefOr<Schema>,
    ) -> Self {
        Self { name, about, schema }
    }

    /// With the schema of a type.
    pub(crate) const fn of<T: ToSchema>(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, named::<T>)
    }

    pub(super) fn describe(&self, schemas: &mut Schemas) -> Parameter {
        parameter(ParameterIn::Query, self.name, self.about, (self.schema)(schemas))
    }
}

/// A parameter of this kind. Those of paths are required.
pub(super) fn parameter(
    place: ParameterIn,
    name: &str,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    let is_required = matches!(place, ParameterIn::Path);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if is_required { Required::True } else { Required::False })
        .description(Some(about))
        .schema(Some(schema))
        .build()
}
