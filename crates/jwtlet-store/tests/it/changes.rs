//! Changes: what they need, what they make of a record, and that a request is made wholly or not at all.

use jiff::SignedDuration;
use jwtlet_core::{
    PolicyStore,
    change::{Applied, Change, ChangeError, Precondition, RecordKey},
    mapping::{MappingKey, ScopeMapping},
    store::{MappingFilter, Page, Revision, Stored},
};
use serde_json::json;

use crate::fixture::{
    Fixture, THEN, author_at, client, create, delete, key, mapping, replace, scope, scope_mapping,
};

const LATER: jiff::Timestamp = jiff::Timestamp::constant(1_800_000_005, 654_321_000);

fn exists(error: &ChangeError) -> Option<&RecordKey> {
    if let ChangeError::Exists(key) = error { Some(key) } else { None }
}

async fn stored_scope(fixture: &Fixture, name: &str) -> Option<Stored<ScopeMapping>> {
    fixture.store.scope(&scope(name)).await.unwrap()
}

pub(crate) async fn a_created_mapping_has_version_one_and_a_replacement_one_more(fixture: Fixture) {
    let created = fixture.change(vec![create("a", "t")]).await.unwrap();
    assert_eq!(created, [Applied::Written(Revision { version: 1, updated_at: THEN })]);
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (1, THEN, THEN));
    assert_eq!(stored.record, mapping("a", "t", &[]));

    let new = mapping("a", "t", &["write"]);
    let replaced = fixture.store.change(vec![replace(new.clone())], &author_at(LATER)).await.unwrap();
    assert_eq!(replaced, [Applied::Written(Revision { version: 2, updated_at: LATER })]);
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (2, THEN, LATER));
    assert_eq!(stored.record, new);
}

pub(crate) async fn a_created_scope_mapping_has_version_one_and_a_replacement_one_more(fixture: Fixture) {
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    let stored = stored_scope(&fixture, "read").await.unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (1, THEN, THEN));

    let new = scope_mapping("read", json!({"r": 2}));
    let change = Change::ReplaceScope(new.clone(), Precondition::None);
    let replaced = fixture.store.change(vec![change], &author_at(LATER)).await.unwrap();
    assert_eq!(replaced, [Applied::Written(Revision { version: 2, updated_at: LATER })]);
    let stored = stored_scope(&fixture, "read").await.unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (2, THEN, LATER));
    assert_eq!(stored.record, new);
}

pub(crate) async fn a_mapping_that_is_created_again_is_another_one(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.change(vec![replace(mapping("a", "t", &["write"]))]).await.unwrap();
    let again = vec![delete("a", "t"), create("a", "t")];
    fixture.store.change(again, &author_at(LATER)).await.unwrap();
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (1, LATER, LATER));
    assert_eq!(stored.record, mapping("a", "t", &[]));
}

pub(crate) async fn a_create_of_a_key_that_is_taken_changes_nothing(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let error = fixture.change(vec![create("n", "1"), create("n", "2"), create("a", "t")]).await.unwrap_err();
    assert_eq!(exists(&error), Some(&RecordKey::Mapping(key("a", "t"))));
    assert_eq!(fixture.mappings().await, ["a/t"]);
    assert_eq!(fixture.trail().await, ["mapping.create a/t"]);
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!(stored.record, mapping("a", "t", &["read"]));
}

pub(crate) async fn a_create_that_repeats_a_key_changes_nothing(fixture: Fixture) {
    let error = fixture.change(vec![create("a", "t"), create("b", "t"), create("a", "t")]).await.unwrap_err();
    assert_eq!(exists(&error), Some(&RecordKey::Mapping(key("a", "t"))));
    assert!(fixture.mappings().await.is_empty());
    assert!(fixture.trail().await.is_empty());
}

pub(crate) async fn a_create_of_a_scope_that_is_taken_or_repeats_changes_nothing(fixture: Fixture) {
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    let create = |name| Change::CreateScope(scope_mapping(name, json!({})));
    for (names, taken) in [(["new", "read"], "read"), (["new", "new"], "new")] {
        let error = fixture.change(names.map(create).to_vec()).await.unwrap_err();
        assert_eq!(exists(&error), Some(&RecordKey::Scope(scope(taken))));
    }
    assert!(stored_scope(&fixture, "new").await.is_none());
    assert_eq!(stored_scope(&fixture, "read").await.unwrap().record, scope_mapping("read", json!({"r": 1})));
}

pub(crate) async fn a_replacement_needs_something_to_replace(fixture: Fixture) {
    fixture.created(&[("a", "t", &[])]).await;
    for condition in [Precondition::None, Precondition::Exists] {
        let changes = vec![
            replace(mapping("a", "t", &["read"])),
            Change::ReplaceMapping(mapping("a", "T", &[]), condition),
        ];
        let error = fixture.change(changes).await.unwrap_err();
        let ChangeError::Missing(missing) = error else { panic!("{error}") };
        assert_eq!(missing, RecordKey::Mapping(key("a", "T")));
    }
    assert_eq!(fixture.trail().await, ["mapping.create a/t"]);
    let scope = Change::ReplaceScope(scope_mapping("read", json!({})), Precondition::None);
    assert!(matches!(fixture.change(vec![scope]).await, Err(ChangeError::Missing(RecordKey::Scope(_)))));
}

pub(crate) async fn a_replacement_keeps_its_precondition(fixture: Fixture) {
    fixture.created(&[("a", "t", &[])]).await;
    let found = Revision { version: 1, updated_at: THEN };
    let stale = [
        Revision { version: 2, ..found },
        Revision { updated_at: THEN + SignedDuration::from_micros(1), ..found },
    ];
    let replace = |condition| vec![Change::ReplaceMapping(mapping("a", "t", &["read"]), condition)];
    let error = fixture.change(replace(Precondition::OneOf(stale.to_vec()))).await.unwrap_err();
    let ChangeError::PreconditionFailed(failed) = error else { panic!("{error}") };
    assert_eq!(failed, RecordKey::Mapping(key("a", "t")));
    fixture.change(replace(Precondition::OneOf(vec![stale[0], found]))).await.unwrap();
    fixture.change(replace(Precondition::Exists)).await.unwrap();
    let error = fixture.change(replace(Precondition::OneOf(vec![found]))).await.unwrap_err();
    assert!(matches!(error, ChangeError::PreconditionFailed(_)));
    assert_eq!(fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap().version, 3);
}

pub(crate) async fn a_deletion_keeps_its_precondition(fixture: Fixture) {
    fixture.created(&[("a", "t", &[])]).await;
    let found = Revision { version: 1, updated_at: THEN };
    let delete = |condition| vec![Change::DeleteMapping(key("a", "t"), condition)];
    let stale = Precondition::OneOf(vec![Revision { version: 7, ..found }]);
    assert!(matches!(fixture.change(delete(stale)).await, Err(ChangeError::PreconditionFailed(_))));
    assert_eq!(fixture.mappings().await, ["a/t"]);
    let deleted = fixture.change(delete(Precondition::OneOf(vec![found]))).await.unwrap();
    assert_eq!(deleted, [Applied::Deleted(1)]);
    for condition in [Precondition::Exists, Precondition::OneOf(vec![found])] {
        assert!(matches!(fixture.change(delete(condition)).await, Err(ChangeError::PreconditionFailed(_))));
    }
}

pub(crate) async fn scope_mappings_keep_their_preconditions(fixture: Fixture) {
    fixture.created_scopes(&[("read", json!({}))]).await;
    let stale = Precondition::OneOf(vec![Revision { version: 2, updated_at: THEN }]);
    let new = scope_mapping("read", json!({"r": 1}));
    for change in
        [Change::ReplaceScope(new.clone(), stale.clone()), Change::DeleteScope(scope("read"), stale)]
    {
        let error = fixture.change(vec![change]).await.unwrap_err();
        let ChangeError::PreconditionFailed(failed) = error else { panic!("{error}") };
        assert_eq!(failed, RecordKey::Scope(scope("read")));
    }
    let found = Precondition::OneOf(vec![Revision { version: 1, updated_at: THEN }]);
    fixture.change(vec![Change::ReplaceScope(new, found)]).await.unwrap();
    fixture.change(vec![Change::DeleteScope(scope("read"), Precondition::Exists)]).await.unwrap();
    assert!(stored_scope(&fixture, "read").await.is_none());
}

pub(crate) async fn deletions_tell_how_much_is_gone(fixture: Fixture) {
    fixture.created(&[("a", "t", &[]), ("a", "u", &[]), ("ab", "t", &[]), ("b", "t", &[])]).await;
    let changes = vec![
        delete("b", "t"),
        delete("b", "t"),
        Change::DeleteClient(client("a")),
        Change::DeleteClient(client("a")),
        Change::DeleteScope(scope("none"), Precondition::None),
    ];
    let gone = fixture.change(changes).await.unwrap();
    assert_eq!(gone, [1, 0, 2, 0, 0].map(Applied::Deleted));
    assert_eq!(fixture.mappings().await, ["ab/t"]);
}

pub(crate) async fn changes_of_one_request_build_on_each_other(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"]), ("c", "t", &[])]).await;
    let changes = vec![
        delete("a", "t"),
        Change::CreateMapping(mapping("a", "t", &["write"])),
        replace(mapping("a", "t", &["admin"])),
        create("b", "t"),
        create("b", "u"),
        Change::DeleteClient(client("b")),
        create("b", "u"),
        delete("c", "t"),
        Change::CreateScope(scope_mapping("admin", json!({"a": 1}))),
        Change::ReplaceScope(scope_mapping("admin", json!({"a": 2})), Precondition::Exists),
    ];
    let applied = fixture.change(changes).await.unwrap();
    let written = |version| Applied::Written(Revision { version, updated_at: THEN });
    let gone = Applied::Deleted;
    assert_eq!(
        applied,
        [
            gone(1),
            written(1),
            written(2),
            written(1),
            written(1),
            gone(2),
            written(1),
            gone(1),
            written(1),
            written(2)
        ]
    );
    assert_eq!(fixture.mappings().await, ["a/t", "b/u"]);
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.record, stored.version), (mapping("a", "t", &["admin"]), 2));
    assert_eq!(stored_scope(&fixture, "admin").await.unwrap().version, 2);
    assert_eq!(fixture.trail().await.len(), 13);
}

pub(crate) async fn a_change_that_fails_undoes_those_before_it(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let head = fixture.store.chain_head().await.unwrap();
    let changes = vec![
        replace(mapping("a", "t", &["write"])),
        Change::CreateScope(scope_mapping("new", json!({}))),
        Change::DeleteClient(client("a")),
        replace(mapping("a", "t", &["admin"])),
    ];
    assert!(matches!(fixture.change(changes).await, Err(ChangeError::Missing(_))));
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.record, stored.version), (mapping("a", "t", &["read"]), 1));
    assert!(stored_scope(&fixture, "new").await.is_none());
    assert_eq!(fixture.store.chain_head().await.unwrap(), head);
}

pub(crate) async fn ten_thousand_records_are_changed_in_one_request(fixture: Fixture) {
    let keys: Vec<MappingKey> = (0..10_000).map(|i| key("bulk", &format!("{i:05}"))).collect();
    let record = |key: &MappingKey| mapping("bulk", key.participant_context.as_str(), &["read", "write"]);
    fixture.change(keys.iter().map(record).map(Change::CreateMapping).collect()).await.unwrap();
    fixture.change(keys.iter().map(record).map(replace).collect()).await.unwrap();
    let page = Page { after: Some(keys[9_997].clone()), limit: 10 };
    assert_eq!(fixture.listed(MappingFilter::default(), page).await, ["bulk/09998", "bulk/09999"]);
    let gone = fixture.change(vec![Change::DeleteClient(client("bulk"))]).await.unwrap();
    assert_eq!(gone, [Applied::Deleted(10_000)]);
    assert!(fixture.mappings().await.is_empty());
    assert_eq!(fixture.verify(4_000).await.unwrap().sequence, 30_000);
}
