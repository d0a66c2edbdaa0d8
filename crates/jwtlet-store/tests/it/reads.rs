//! What an exchange reads, and what is remembered of it.

use jwtlet_core::{
    PolicyStore,
    change::{Change, Precondition},
    mapping::MappingKey,
    store::{Freshness, Lookup},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, client, create, delete, key, mapping, replace, scope, scope_mapping};

fn claims(lookup: &Lookup) -> Vec<(&str, Value)> {
    let scopes = lookup.policy.as_ref().unwrap().scopes();
    scopes.iter().map(|mapping| (mapping.scope().as_str(), json!(mapping.claims()))).collect()
}

pub(crate) async fn an_exchange_reads_the_mapping_and_the_claims_of_all_granted_scopes(fixture: Fixture) {
    fixture.created(&[("a", "t", &["write", "read", "bare"])]).await;
    fixture
        .created_scopes(&[("read", json!({"r": 1})), ("write", json!({"w": 2})), ("other", json!({"o": 3}))])
        .await;
    let lookup = fixture.look_up("a", "t", &["read"]).await;
    assert_eq!(*lookup.policy.as_ref().unwrap().mapping(), mapping("a", "t", &["write", "read", "bare"]));
    assert_eq!(claims(&lookup), [("read", json!({"r": 1})), ("write", json!({"w": 2}))]);
}

pub(crate) async fn names_are_compared_byte_by_byte(fixture: Fixture) {
    fixture.created(&[("a", "t\u{e4}", &["read"])]).await;
    fixture.created_scopes(&[("READ", json!({"r": 1}))]).await;
    assert!(claims(&fixture.look_up("a", "t\u{e4}", &[]).await).is_empty());
    for (client, context) in [("A", "t\u{e4}"), ("a", "T\u{e4}"), ("a", "ta\u{308}"), ("a ", "t\u{e4}")] {
        assert!(fixture.look_up(client, context, &[]).await.policy.is_none(), "{client}/{context}");
    }
}

pub(crate) async fn what_was_read_is_remembered(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    let first = fixture.look_up("a", "t", &["read"]).await;
    assert_eq!(first.freshness, Freshness::Current);
    let second = fixture.remembered("a", "t", &["read"]).await;
    assert_eq!(second.policy, first.policy);
}

async fn fifty_at_once(fixture: &Fixture, key: MappingKey) -> Vec<Lookup> {
    let mut lookups = JoinSet::new();
    for _ in 0..50 {
        let (store, key) = (fixture.store.clone(), key.clone());
        lookups.spawn(async move { store.policy(&key, &[], Freshness::Recent).await.unwrap() });
    }
    lookups.join_all().await
}

pub(crate) async fn those_who_want_a_policy_at_the_same_time_share_a_read(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"]), ("b", "t", &["read"])]).await;
    fixture.remembered("a", "t", &[]).await;
    let before = fixture.store.calls().count();
    let lookups = fifty_at_once(&fixture, key("b", "t")).await;
    // What runs in the background reads now and then too.
    assert!((1..10).contains(&(fixture.store.calls().count() - before)));
    assert!(lookups.iter().all(|lookup| lookup.policy == lookups[0].policy && lookup.policy.is_some()));
    let absent = fifty_at_once(&fixture, key("c", "t")).await;
    assert!(absent.iter().all(|lookup| lookup.policy.is_none() && lookup.freshness == Freshness::Current));
}

pub(crate) async fn a_current_read_asks_the_database(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.remembered("a", "t", &[]).await;
    let lookup = fixture.store.policy(&key("a", "t"), &[], Freshness::Current).await.unwrap();
    assert_eq!(lookup.freshness, Freshness::Current);
}

pub(crate) async fn absence_is_never_remembered(fixture: Fixture) {
    for _ in 0..3 {
        let lookup = fixture.look_up("a", "t", &[]).await;
        assert!(lookup.policy.is_none());
        assert_eq!(lookup.freshness, Freshness::Current);
    }
    fixture.created(&[("a", "t", &["read"])]).await;
    assert!(fixture.look_up("a", "t", &[]).await.policy.is_some());
}

pub(crate) async fn a_scope_mapping_that_is_missing_is_looked_for_again(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read", "bare"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    fixture.remembered("a", "t", &["read"]).await;
    assert_eq!(fixture.look_up("a", "t", &["read", "bare"]).await.freshness, Freshness::Current);
    fixture.created_scopes(&[("bare", json!({"b": 2}))]).await;
    let lookup = fixture.look_up("a", "t", &["bare"]).await;
    assert_eq!(claims(&lookup), [("bare", json!({"b": 2})), ("read", json!({"r": 1}))]);
}

pub(crate) async fn a_replaced_mapping_is_forgotten(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.remembered("a", "t", &[]).await;
    fixture.change(vec![replace(mapping("a", "t", &["write"]))]).await.unwrap();
    let lookup = fixture.look_up("a", "t", &[]).await;
    assert_eq!(*lookup.policy.unwrap().mapping(), mapping("a", "t", &["write"]));
}

pub(crate) async fn a_deleted_mapping_is_forgotten(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"]), ("a", "u", &[])]).await;
    fixture.remembered("a", "t", &[]).await;
    fixture.remembered("a", "u", &[]).await;
    fixture.change(vec![delete("a", "t")]).await.unwrap();
    assert!(fixture.look_up("a", "t", &[]).await.policy.is_none());
    assert!(fixture.look_up("a", "u", &[]).await.policy.is_some());
}

pub(crate) async fn the_mappings_of_a_deleted_client_are_forgotten(fixture: Fixture) {
    fixture.created(&[("a", "t", &[]), ("a", "u", &[]), ("b", "t", &[])]).await;
    for (client, context) in [("a", "t"), ("a", "u"), ("b", "t")] {
        fixture.remembered(client, context, &[]).await;
    }
    fixture.change(vec![Change::DeleteClient(client("a"))]).await.unwrap();
    assert!(fixture.look_up("a", "t", &[]).await.policy.is_none());
    assert!(fixture.look_up("a", "u", &[]).await.policy.is_none());
    assert!(fixture.look_up("b", "t", &[]).await.policy.is_some());
}

pub(crate) async fn a_changed_scope_mapping_is_forgotten(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    fixture.remembered("a", "t", &["read"]).await;
    let changed = scope_mapping("read", json!({"r": 2}));
    fixture.change(vec![Change::ReplaceScope(changed, Precondition::None)]).await.unwrap();
    assert_eq!(claims(&fixture.remembered("a", "t", &["read"]).await), [("read", json!({"r": 2}))]);
    fixture.change(vec![Change::DeleteScope(scope("read"), Precondition::None)]).await.unwrap();
    assert!(claims(&fixture.look_up("a", "t", &["read"]).await).is_empty());
}

pub(crate) async fn a_refused_change_leaves_what_is_remembered(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.remembered("a", "t", &[]).await;
    fixture.change(vec![delete("a", "t"), create("b", "t"), create("b", "t")]).await.unwrap_err();
    assert_eq!(*fixture.look_up("a", "t", &[]).await.policy.unwrap().mapping(), mapping("a", "t", &["read"]));
}
