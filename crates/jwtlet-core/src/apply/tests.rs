use serde_json::json;

use super::*;
use crate::{ClientIdentifier, ParticipantContext, metadata::Metadata};

const THEN: jiff::Timestamp = jiff::Timestamp::constant(1_800_000_000, 0);

fn owner(name: &str) -> Option<Owner> {
    (!name.is_empty()).then(|| Owner::parse(name).unwrap())
}

/// A resource mapping of `c` for this context, with an owner unless that is empty.
fn mapping(context: &str, scopes: &[&str], owned_by: &str) -> ResourceMapping {
    let key = MappingKey {
        client_identifier: ClientIdentifier::parse("c").unwrap(),
        participant_context: ParticipantContext::parse(context).unwrap(),
    };
    let scopes = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    let metadata = Metadata { owner: owner(owned_by), ..Metadata::default() };
    ResourceMapping::new(key, scopes, vec![]).unwrap().with_metadata(metadata)
}

fn scope(name: &str, claims: Value, owned_by: &str) -> ScopeMapping {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    let metadata = Metadata { owner: owner(owned_by), ..Metadata::default() };
    ScopeMapping::restore(Scope::parse(name).unwrap(), claims).with_metadata(metadata)
}

fn stored<T>(record: T) -> Stored<T> {
    Stored { record, created_at: THEN, updated_at: THEN, version: 1 }
}

fn desired(mappings: &[ResourceMapping], scopes: &[ScopeMapping]) -> Desired {
    Desired {
        mappings: mappings.iter().map(|mapping| (mapping.key().clone(), mapping.clone())).collect(),
        scopes: scopes.iter().map(|mapping| (mapping.scope().clone(), mapping.clone())).collect(),
        ..Desired::default()
    }
}

fn found(mappings: &[ResourceMapping], scopes: &[ScopeMapping]) -> Snapshot {
    Snapshot {
        mappings: mappings.iter().cloned().map(stored).collect(),
        scopes: scopes.iter().cloned().map(stored).collect(),
    }
}

#[test]
fn a_plan_tells_what_becomes_of_which_member() {
    let wanted = desired(
        &[mapping("new", &["read"], ""), mapping("same", &["b", "a"], ""), mapping("other", &["read"], "")],
        &[scope("read", json!({"r": 2}), "")],
    );
    let there = found(
        &[mapping("same", &["a", "b"], ""), mapping("other", &["write"], ""), mapping("alien", &[], "x")],
        &[scope("read", json!({"r": 1}), "")],
    );
    let (plan, changes) = wanted.plan(there).unwrap();
    assert_eq!((plan.unchanged, changes.len()), (1, 3));
    assert_eq!(
        serde_json::to_value(&plan.changes).unwrap(),
        json!([
            {"action": "create", "kind": "resourceMapping",
             "key": {"clientIdentifier": "c", "participantContext": "new"},
             "fields": {"scopes": {"after": ["read"]}, "audiences": {"after": []}}},
            {"action": "change", "kind": "resourceMapping",
             "key": {"clientIdentifier": "c", "participantContext": "other"},
             "fields": {"scopes": {"before": ["write"], "after": ["read"]}}},
            {"action": "change", "kind": "scopeMapping", "key": {"scope": "read"},
             "fields": {"claims": {"before": {"r": 1}, "after": {"r": 2}}}},
        ])
    );
}

#[test]
fn other_records_of_the_owner_are_pruned_and_nobody_elses() {
    let wanted = Desired { prune: owner("a"), ..desired(&[mapping("kept", &[], "a")], &[]) };
    let there = found(
        &[
            mapping("kept", &[], "a"),
            mapping("old", &["read"], "a"),
            mapping("alien", &[], "b"),
            mapping("no", &[], ""),
        ],
        &[scope("old", json!({}), "a"), scope("alien", json!({}), "")],
    );
    let (plan, changes) = wanted.plan(there).unwrap();
    let pruned: Vec<_> = plan.changes.iter().map(|change| (change.action, change.key.to_string())).collect();
    assert_eq!(
        pruned,
        [
            (PlannedAction::Delete, "a mapping of c for old".to_owned()),
            (PlannedAction::Delete, "a scope mapping of old".to_owned()),
        ]
    );
    assert_eq!((plan.unchanged, changes.len()), (1, 2));
}

#[test]
fn a_record_belongs_to_its_owner_until_it_is_taken_over() {
    for (there, wanted) in [("b", "a"), ("", "a"), ("b", "")] {
        let mut desired = desired(&[mapping("t", &["read"], wanted)], &[scope("s", json!({}), wanted)]);
        let found = found(&[mapping("t", &["read"], there)], &[scope("s", json!({}), there)]);
        let conflicts = desired.plan(found.clone()).unwrap_err();
        assert_eq!(conflicts.len(), 2);
        assert_eq!((&conflicts[0].stored, &conflicts[0].wanted), (&owner(there), &owner(wanted)));
        desired.take_over = true;
        let (plan, _) = desired.plan(found).unwrap();
        assert_eq!(plan.changes.len(), 2);
        let text = |name: &str| owner(name).map(|owner| Value::from(owner.to_string()));
        let change = FieldChange { before: text(there), after: text(wanted) };
        assert_eq!(plan.changes[0].fields, BTreeMap::from([("owner", change)]));
    }
}

#[test]
fn a_digest_tells_what_is_found_and_not_when_it_was_written() {
    let wanted = desired(&[mapping("t", &["read"], "")], &[]);
    let digest = |found: Snapshot| wanted.plan(found).unwrap().0.digest().unwrap();
    let mut rewritten = found(&[mapping("t", &["write"], "")], &[]);
    rewritten.mappings[0].version = 7;
    assert_eq!(digest(found(&[mapping("t", &["write"], "")], &[])), digest(rewritten));
    assert!(
        digest(found(&[mapping("t", &["admin"], "")], &[]))
            != digest(found(&[mapping("t", &["write"], "")], &[]))
    );
    assert!(digest(found(&[], &[])) != digest(found(&[mapping("t", &["write"], "")], &[])));
}
