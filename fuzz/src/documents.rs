use std::collections::BTreeSet;

use jiff::Timestamp;
use jwtlet_core::{
    mapping::{ClaimRules, ResourceMapping, ScopeMapping},
    store::Stored,
};
use jwtlet_server::fuzzing;
use serde_json::{Map, Value, json};

/// The bodies of the management API: a resource mapping, a scope mapping, documents to apply.
///
/// What is accepted, written as the API writes it, is read as the same; and no reserved claim is in it.
///
/// # Panics
/// Where that does not hold.
pub fn documents(data: &[u8]) {
    let Ok(rules) = ClaimRules::new("jwtlet_pc".to_owned(), BTreeSet::from(["scope".to_owned()])) else {
        return;
    };
    if let Some(mapping) = fuzzing::mapping(data, &rules) {
        let written = written(&mapping);
        assert_eq!(fuzzing::mapping(written.to_string().as_bytes(), &rules), Some(mapping), "{written}");
    }
    if let Some(mapping) = fuzzing::scope_mapping(data, &rules) {
        assert!(!mapping.claims().keys().any(|claim| rules.is_reserved(claim)));
        let written = written_scope(&mapping);
        assert_eq!(
            fuzzing::scope_mapping(written.to_string().as_bytes(), &rules),
            Some(mapping),
            "{written}"
        );
    }
    if let Some(apply) = fuzzing::documents(data, &rules) {
        let (mappings, scopes) = (apply.desired.mappings, apply.desired.scopes);
        let mut written = Map::new();
        written.insert("resourceMappings".to_owned(), mappings.values().map(self::written).collect());
        written.insert("scopeMappings".to_owned(), scopes.values().map(written_scope).collect());
        let again = fuzzing::documents(Value::Object(written).to_string().as_bytes(), &rules);
        assert_eq!(
            again.map(|again| (again.desired.mappings, again.desired.scopes)),
            Some((mappings, scopes))
        );
    }
}

fn written(mapping: &ResourceMapping) -> Value {
    json!(stored(mapping.clone()))
}

fn written_scope(mapping: &ScopeMapping) -> Value {
    json!(stored(mapping.clone()))
}

fn stored<T>(record: T) -> Stored<T> {
    Stored { record, created_at: Timestamp::UNIX_EPOCH, updated_at: Timestamp::UNIX_EPOCH, version: 1 }
}
