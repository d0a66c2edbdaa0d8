//! What every policy store has to do, run on every implementation.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

use jiff::{SignedDuration, Timestamp};
use jwtlet_core::{
    Audience, ClientIdentifier, ParticipantContext, PolicyStore, Scope,
    mapping::{ClaimRules, MappingKey, ResourceMapping, ScopeMapping},
    store::{CreateError, MappingFilter},
};
use jwtlet_store::MemoryStore;
use serde_json::json;

const THEN: Timestamp = Timestamp::constant(1_800_000_000, 123_456_000);

fn client(name: &str) -> ClientIdentifier {
    ClientIdentifier::parse(name).unwrap()
}

fn context(name: &str) -> ParticipantContext {
    ParticipantContext::parse(name).unwrap()
}

fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| Scope::parse(name).unwrap()).collect()
}

fn key(client_name: &str, context_name: &str) -> MappingKey {
    MappingKey { client_identifier: client(client_name), participant_context: context(context_name) }
}

fn mapping(client: &str, context: &str, granted: &[&str]) -> ResourceMapping {
    let audiences = vec![Audience::parse("aud").unwrap()];
    let mapping = ResourceMapping::new(key(client, context), scopes(granted), audiences).unwrap();
    mapping.with_expiry(Some(THEN)).with_description(Some("why".into())).unwrap()
}

fn scope_mapping(scope: &str, role: &str) -> ScopeMapping {
    let rules = ClaimRules::new("pc".into(), [].into()).unwrap();
    ScopeMapping::new(scopes(&[scope]).remove(0), json!({"role": role}).as_object().unwrap().clone(), &rules)
        .unwrap()
}

async fn created(store: &impl PolicyStore, mappings: &[(&str, &str, &[&str])]) {
    let mappings =
        mappings.iter().map(|(client, context, granted)| mapping(client, context, granted)).collect();
    store.create_mappings(mappings, THEN).await.unwrap();
}

async fn listed(store: &impl PolicyStore, filter: MappingFilter) -> Vec<String> {
    let mappings = store.list_mappings(&filter).await.unwrap();
    let name = |key: &MappingKey| format!("{}/{}", key.client_identifier, key.participant_context);
    mappings.iter().map(|stored| name(stored.record.key())).collect()
}

async fn an_exchange_reads_the_mapping_and_the_claims_of_the_requested_scopes(store: impl PolicyStore) {
    created(&store, &[("a", "t", &["read", "write"])]).await;
    store
        .create_scopes(vec![scope_mapping("read", "reader"), scope_mapping("other", "x")], THEN)
        .await
        .unwrap();
    let policy =
        store.policy(&client("a"), &context("t"), &scopes(&["write", "read"])).await.unwrap().unwrap();
    assert_eq!(*policy.mapping, mapping("a", "t", &["read", "write"]));
    let claims: Vec<_> =
        policy.scopes.iter().map(|mapping| (mapping.scope().as_str(), json!(mapping.claims()))).collect();
    assert_eq!(claims, [("read", json!({"role": "reader"}))]);
    assert!(store.policy(&client("a"), &context("T"), &[]).await.unwrap().is_none());
    assert!(store.policy(&client("A"), &context("t"), &[]).await.unwrap().is_none());
}

async fn a_created_mapping_has_version_one_and_a_replacement_one_more(store: impl PolicyStore) {
    created(&store, &[("a", "t", &["read"])]).await;
    let stored = store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (1, THEN, THEN));
    assert_eq!(*stored.record, mapping("a", "t", &["read"]));

    let later = THEN + SignedDuration::from_secs(5);
    assert!(store.replace_mapping(mapping("a", "t", &["write"]), later).await.unwrap());
    let stored = store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (2, THEN, later));
    assert_eq!(*stored.record, mapping("a", "t", &["write"]));
    assert!(!store.replace_mapping(mapping("a", "u", &[]), later).await.unwrap());
    assert!(store.mapping(&key("a", "u")).await.unwrap().is_none());
}

async fn a_create_with_a_key_that_exists_or_repeats_changes_nothing(store: impl PolicyStore) {
    created(&store, &[("a", "t", &["read"])]).await;
    let attempt = vec![mapping("a", "new", &[]), mapping("a", "t", &["write"])];
    let error = store.create_mappings(attempt, THEN).await.unwrap_err();
    assert!(matches!(error, CreateError::Exists(taken) if taken == key("a", "t")));
    let attempt = vec![mapping("b", "t", &[]), mapping("b", "t", &[])];
    let error = store.create_mappings(attempt, THEN).await.unwrap_err();
    assert!(matches!(error, CreateError::Exists(taken) if taken == key("b", "t")));
    assert_eq!(listed(&store, MappingFilter::default()).await, ["a/t"]);
    assert_eq!(*store.mapping(&key("a", "t")).await.unwrap().unwrap().record, mapping("a", "t", &["read"]));
}

async fn lists_are_sorted_by_key_and_filtered(store: impl PolicyStore) {
    created(
        &store,
        &[("b", "t", &["read"]), ("a", "u", &["read", "write"]), ("B", "t", &[]), ("a", "t", &["write"])],
    )
    .await;
    assert_eq!(listed(&store, MappingFilter::default()).await, ["B/t", "a/t", "a/u", "b/t"]);
    let filter = MappingFilter { client_identifier: Some(client("a")), ..Default::default() };
    assert_eq!(listed(&store, filter).await, ["a/t", "a/u"]);
    let filter = MappingFilter { participant_context: Some(context("t")), ..Default::default() };
    assert_eq!(listed(&store, filter).await, ["B/t", "a/t", "b/t"]);
    let scope = scopes(&["write"]).remove(0);
    let filter =
        MappingFilter { participant_context: Some(context("t")), scope: Some(scope), ..Default::default() };
    assert_eq!(listed(&store, filter).await, ["a/t"]);
}

async fn deletes_tell_what_was_there(store: impl PolicyStore) {
    created(&store, &[("a", "t", &[]), ("a", "u", &[]), ("b", "t", &[])]).await;
    assert!(store.delete_mapping(&key("b", "t")).await.unwrap());
    assert!(!store.delete_mapping(&key("b", "t")).await.unwrap());
    assert_eq!(store.delete_client(&client("a")).await.unwrap(), 2);
    assert_eq!(store.delete_client(&client("a")).await.unwrap(), 0);
    assert!(listed(&store, MappingFilter::default()).await.is_empty());
    assert!(store.policy(&client("a"), &context("t"), &[]).await.unwrap().is_none());
}

async fn scope_mappings_are_created_replaced_listed_and_deleted(store: impl PolicyStore) {
    store.create_scopes(vec![scope_mapping("write", "w"), scope_mapping("read", "r")], THEN).await.unwrap();
    let error = store
        .create_scopes(vec![scope_mapping("new", "n"), scope_mapping("read", "x")], THEN)
        .await
        .unwrap_err();
    assert!(matches!(error, CreateError::Exists(scope) if scope.as_str() == "read"));
    let names = |stored: Vec<_>| -> Vec<String> {
        stored
            .iter()
            .map(|stored: &jwtlet_core::store::Stored<std::sync::Arc<ScopeMapping>>| {
                stored.record.scope().to_string()
            })
            .collect()
    };
    assert_eq!(names(store.list_scopes(None).await.unwrap()), ["read", "write"]);
    let read = scopes(&["read"]).remove(0);
    assert_eq!(names(store.list_scopes(Some(&read)).await.unwrap()), ["read"]);

    let later = THEN + SignedDuration::from_secs(5);
    assert!(store.replace_scope(scope_mapping("read", "reader"), later).await.unwrap());
    assert!(!store.replace_scope(scope_mapping("none", "x"), later).await.unwrap());
    let stored = store.scope(&read).await.unwrap().unwrap();
    assert_eq!(*stored.record, scope_mapping("read", "reader"));
    assert_eq!((stored.version, stored.created_at, stored.updated_at), (2, THEN, later));
    assert!(store.delete_scope(&read).await.unwrap());
    assert!(!store.delete_scope(&read).await.unwrap());
    assert!(store.scope(&read).await.unwrap().is_none());
}

macro_rules! conformance {
    ($backend:ident, $new:expr, $($test:ident),+ $(,)?) => {
        mod $backend {
            use super::*;
            $(#[tokio::test] async fn $test() { super::$test($new).await; })+
        }
    };
}

conformance! {
    memory, MemoryStore::default(),
    an_exchange_reads_the_mapping_and_the_claims_of_the_requested_scopes,
    a_created_mapping_has_version_one_and_a_replacement_one_more,
    a_create_with_a_key_that_exists_or_repeats_changes_nothing,
    lists_are_sorted_by_key_and_filtered,
    deletes_tell_what_was_there,
    scope_mappings_are_created_replaced_listed_and_deleted,
}
