//! Owners and labels: kept, found, recorded, and no part of what an exchange reads.

use std::collections::BTreeMap;

use jwtlet_core::{
    PolicyStore,
    audit::AuditFilter,
    change::{Author, Change, Precondition},
    mapping::{ResourceMapping, ScopeMapping},
    metadata::{LabelSelector, Labels, MAX_LABELS, Metadata, MetadataFilter},
    name::{ApplyId, LabelKey, LabelValue, Owner},
    store::{Freshness, MappingFilter, Page, ScopeFilter},
};
use serde_json::json;

use crate::fixture::{Fixture, author, create, key, mapping, replace, scope, scope_mapping};

pub(crate) fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs =
        pairs.iter().map(|(key, value)| (LabelKey::parse(key).unwrap(), LabelValue::parse(value).unwrap()));
    pairs.collect::<BTreeMap<_, _>>().try_into().unwrap()
}

fn metadata(name: Option<&str>, pairs: &[(&str, &str)]) -> Metadata {
    Metadata { owner: name.map(owner), labels: labels(pairs) }
}

fn select(name: Option<&str>, selectors: &[&str]) -> MetadataFilter {
    let selector = |text: &&str| {
        let (key, value) = text.split_once('=').map_or((*text, None), |(key, value)| (key, Some(value)));
        LabelSelector {
            key: LabelKey::parse(key).unwrap(),
            value: value.map(|value| LabelValue::parse(value).unwrap()),
        }
    };
    MetadataFilter { owner: name.map(owner), labels: selectors.iter().map(selector).collect() }
}

async fn stored(fixture: &Fixture) -> (ResourceMapping, ScopeMapping) {
    let mapping = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    let listed = fixture.store.list_mappings(&MappingFilter::default(), &Page::first(1)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&mapping));
    let scope = fixture.store.scope(&scope("read")).await.unwrap().unwrap();
    let listed = fixture.store.list_scopes(&ScopeFilter::default(), &Page::first(1)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&scope));
    (mapping.record, scope.record)
}

pub(crate) async fn owner_and_labels_are_kept_replaced_and_removed(fixture: Fixture) {
    let mapping = |metadata| mapping("a", "t", &["read"]).with_metadata(metadata);
    let scope = |metadata| scope_mapping("read", json!({"r": 1})).with_metadata(metadata);
    let many: Vec<_> = (0..MAX_LABELS).map(|n| format!("example.com/{n:063}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), "v")).collect();
    let longest = format!("{}'\"\\\u{e4}", "o".repeat(250));
    let first = metadata(Some("team-a"), &[("app", "billing"), ("example.com/tier", "")]);
    let created =
        vec![Change::CreateMapping(mapping(first.clone())), Change::CreateScope(scope(first.clone()))];
    fixture.change(created).await.unwrap();
    assert_eq!(stored(&fixture).await, (mapping(first.clone()), scope(first)));
    for next in [metadata(Some(&longest), &many), metadata(None, &[("app", "x")]), Metadata::default()] {
        let replaced = vec![
            replace(mapping(next.clone())),
            Change::ReplaceScope(scope(next.clone()), Precondition::None),
        ];
        fixture.change(replaced).await.unwrap();
        assert_eq!(stored(&fixture).await, (mapping(next.clone()), scope(next)));
    }
}

pub(crate) async fn an_exchange_reads_neither_owner_nor_labels(fixture: Fixture) {
    let noted = metadata(Some("team-a"), &[("app", "billing")]);
    let record = mapping("a", "t", &["read"]);
    let scope = scope_mapping("read", json!({"r": 1}));
    let changes = vec![
        Change::CreateMapping(record.clone().with_metadata(noted.clone())),
        Change::CreateScope(scope.clone().with_metadata(noted)),
    ];
    fixture.change(changes).await.unwrap();
    let policy = fixture.store.policy(&key("a", "t"), &[], Freshness::Current).await.unwrap().policy.unwrap();
    assert_eq!((policy.mapping(), &*policy.scopes()[0]), (&record, &scope));
}

/// The owner and the labels of four records.
fn four() -> [(&'static str, Metadata); 4] {
    [
        ("1", metadata(Some("team-a"), &[("app", "billing"), ("stage", "test")])),
        ("2", metadata(Some("team-a"), &[("app", "shop")])),
        ("3", metadata(Some("team-A"), &[("app", "billing"), ("stage", ""), ("example.com/app", "x")])),
        ("4", Metadata::default()),
    ]
}

/// What each filter finds among them.
fn found_among_four() -> [(MetadataFilter, &'static [&'static str]); 9] {
    [
        (select(None, &[]), &["1", "2", "3", "4"]),
        (select(Some("team-a"), &[]), &["1", "2"]),
        (select(Some("none"), &[]), &[]),
        (select(None, &["app"]), &["1", "2", "3"]),
        (select(None, &["app=billing"]), &["1", "3"]),
        (select(None, &["app=billing", "stage"]), &["1", "3"]),
        (select(None, &["app=billing", "stage="]), &["3"]),
        (select(None, &["example.com/app=x", "app=x"]), &[]),
        (select(Some("team-a"), &["app=billing"]), &["1"]),
    ]
}

pub(crate) async fn mappings_are_filtered_by_owner_and_labels(fixture: Fixture) {
    let mapping = |(name, metadata): (&str, _)| mapping("a", name, &["read"]).with_metadata(metadata);
    fixture.change(four().map(mapping).map(Change::CreateMapping).to_vec()).await.unwrap();
    for (metadata, names) in found_among_four() {
        let filter = MappingFilter { metadata, ..Default::default() };
        let names: Vec<_> = names.iter().map(|name| format!("a/{name}")).collect();
        let page = |after, limit| Page { after, limit };
        assert_eq!(fixture.listed(filter.clone(), page(None, 10)).await, names, "{filter:?}");
        let rest: Vec<_> = names.iter().filter(|name| name.as_str() > "a/1").take(1).cloned().collect();
        assert_eq!(fixture.listed(filter, page(Some(key("a", "1")), 1)).await, rest);
    }
}

pub(crate) async fn scope_mappings_are_filtered_by_owner_and_labels(fixture: Fixture) {
    let mapping = |(name, metadata): (&str, _)| scope_mapping(name, json!({})).with_metadata(metadata);
    fixture.change(four().map(mapping).map(Change::CreateScope).to_vec()).await.unwrap();
    let listed = async |filter: &ScopeFilter, after: Option<&str>| -> Vec<String> {
        let page = Page { after: after.map(scope), limit: 10 };
        let listed = fixture.store.list_scopes(filter, &page).await.unwrap();
        listed.iter().map(|stored| stored.record.scope().to_string()).collect()
    };
    for (metadata, names) in found_among_four() {
        let filter = ScopeFilter { scope: None, metadata };
        assert_eq!(listed(&filter, None).await, names, "{filter:?}");
    }
    let one = ScopeFilter { scope: Some(scope("2")), metadata: select(Some("team-a"), &[]) };
    assert_eq!(listed(&one, None).await, ["2"]);
    assert!(listed(&one, Some("2")).await.is_empty());
    let other = ScopeFilter { metadata: select(Some("team-A"), &[]), ..one };
    assert!(listed(&other, None).await.is_empty());
}

pub(crate) async fn the_trail_has_owner_and_labels(fixture: Fixture) {
    let noted = mapping("a", "t", &[]).with_metadata(metadata(Some("team-a"), &[("app", "billing")]));
    fixture.change(vec![Change::CreateMapping(noted)]).await.unwrap();
    fixture.change(vec![replace(mapping("a", "t", &[]))]).await.unwrap();
    let records = fixture.store.audit(&AuditFilter::default(), &Page::first(1)).await.unwrap();
    let (before, after) = (records[0].before.as_ref().unwrap(), records[0].after.as_ref().unwrap());
    assert_eq!((&before["owner"], &before["labels"]), (&json!("team-a"), &json!({"app": "billing"})));
    assert!(after.get("owner").is_none() && after.get("labels").is_none());
}

pub(crate) async fn the_trail_is_filtered_by_the_id_of_an_apply(fixture: Fixture) {
    let apply = Author { apply_id: Some(ApplyId::parse("release-7").unwrap()), ..author() };
    fixture.change(vec![create("a", "t")]).await.unwrap();
    fixture.store.change(vec![create("b", "t")], &apply).await.unwrap();
    let filter = |id: &str| AuditFilter { apply_id: Some(id.into()), ..AuditFilter::default() };
    let found = fixture.store.audit(&filter("release-7"), &Page::first(10)).await.unwrap();
    assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2]);
    assert_eq!(found[0].apply_id.as_deref(), Some("release-7"));
    assert!(fixture.store.audit(&filter("release"), &Page::first(10)).await.unwrap().is_empty());
    assert_eq!(fixture.verify(1).await.unwrap().sequence, 2);
}

/// They decide on nothing, so the record stays.
pub(crate) async fn what_cannot_be_read_of_owner_and_labels_is_left_out(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let labels =
        r#"UPDATE resource_mappings SET owner = '', labels = '{"a": 1, "-": "x", "b": "y", "c": "not one"}'"#;
    fixture.execute(labels).await.unwrap();
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.record.metadata()), (2, &metadata(None, &[("b", "y")])));
}
