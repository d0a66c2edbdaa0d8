//! What people note about a record: who looks after it, and labels to find it by.
//!
//! No decision looks at any of it. So an exchange does not read it, and a policy that was read for one has none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AdditionalProperties, ObjectBuilder, Schema, Type},
    },
};

use crate::name::{LabelKey, LabelValue, Owner};

/// The most labels of one record.
pub const MAX_LABELS: usize = 64;

/// Who looks after a record, and its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Who looks after it, if anybody.
    pub owner: Option<Owner>,
    /// Its labels.
    pub labels: Labels,
}

/// The labels of a record, at most [`MAX_LABELS`], sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<LabelKey, LabelValue>")]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

/// There are more labels than a record may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {MAX_LABELS}, not {0}")]
pub struct TooManyLabels(pub usize);

impl Labels {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }
}

impl PartialSchema for Labels {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(key) = LabelKey::schema() else { return LabelKey::schema() };
        let value = Ref::from_schema_name(LabelValue::name());
        let labels = ObjectBuilder::new()
            .schema_type(Type::Object)
            .max_properties(Some(MAX_LABELS))
            .property_names(Some(key))
            .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
            .description(Some("Texts to find a record by, as Kubernetes has them."));
        RefOr::T(labels.build().into())
    }
}

impl ToSchema for Labels {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((LabelValue::name().into_owned(), LabelValue::schema()));
    }
}

impl TryFrom<BTreeMap<LabelKey, LabelValue>> for Labels {
    type Error = TooManyLabels;

    fn try_from(labels: BTreeMap<LabelKey, LabelValue>) -> Result<Self, TooManyLabels> {
        if labels.len() > MAX_LABELS { Err(TooManyLabels(labels.len())) } else { Ok(Self(labels)) }
    }
}

/// Which records to list; everything that is given must match.
#[derive(Debug, Clone, Default)]
pub struct MetadataFilter {
    /// With this owner.
    pub owner: Option<Owner>,
    /// With all of these labels.
    pub labels: Vec<LabelSelector>,
}

/// A label that a record has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector {
    /// Its key.
    pub key: LabelKey,
    /// Its value; `None` for any.
    pub value: Option<LabelValue>,
}
