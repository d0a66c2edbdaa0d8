//! What the fuzz targets call: the readers of JSON bodies.

use jwtlet_core::{
    apply::Desired,
    mapping::{ClaimRules, ResourceMapping, ScopeMapping},
    strict_json,
};

use super::{
    documents,
    input::{self, Input},
    records::{MappingInput, ScopeInput},
};

/// Documents that may be applied, and whether that is a dry run only.
pub struct Apply {
    /// What is to be.
    pub desired: Desired,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// The body of an application of documents; `None` where it is refused.
#[must_use]
pub fn documents(json: &[u8], rules: &ClaimRules) -> Option<Apply> {
    let body = documents::read(json, rules).ok()?;
    Some(Apply { desired: body.documents.ok()?.desired, dry_run: body.options.dry_run })
}

/// A resource mapping; `None` where it is refused.
#[must_use]
pub fn mapping(json: &[u8], rules: &ClaimRules) -> Option<ResourceMapping> {
    one::<MappingInput>(json, rules)
}

/// A scope mapping; `None` where it is refused.
#[must_use]
pub fn scope_mapping(json: &[u8], rules: &ClaimRules) -> Option<ScopeMapping> {
    one::<ScopeInput>(json, rules)
}

fn one<I: Input>(json: &[u8], rules: &ClaimRules) -> Option<I::Output> {
    input::check::<I>(strict_json::from_slice(json).ok()?, rules).ok()
}
