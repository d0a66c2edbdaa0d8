//! Values come back as they were written, up to the largest.

use jiff::Timestamp;
use jwtlet_core::{
    Audience, PolicyStore, Scope,
    change::Change,
    mapping::{MAX_AUDIENCES, MAX_CLAIMS_BYTES, MAX_SCOPES, ResourceMapping, ScopeMapping},
    store::{Page, ScopeFilter},
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, THEN, author_at, key, mapping, replace, scope, scope_mapping};

async fn kept(fixture: &Fixture, mapping: ResourceMapping) {
    fixture.change(vec![Change::CreateMapping(mapping.clone())]).await.unwrap();
    assert_eq!(fixture.store.mapping(mapping.key()).await.unwrap().unwrap().record, mapping);
    let policy = fixture
        .store
        .policy(mapping.key(), &[], jwtlet_core::store::Freshness::Current)
        .await
        .unwrap()
        .policy
        .unwrap();
    assert_eq!(*policy.mapping(), mapping);
}

/// Writes a scope mapping, and reads it in each way there is.
async fn kept_claims(fixture: &Fixture, claims: Value) -> ScopeMapping {
    let written = scope_mapping("read", claims);
    fixture.change(vec![Change::CreateScope(written.clone())]).await.unwrap();
    fixture.created(&[("a", "t", &["read"])]).await;
    let stored = fixture.store.scope(&scope("read")).await.unwrap().unwrap();
    assert_eq!(stored.record, written);
    assert_eq!(fixture.store.list_scopes(&ScopeFilter::default(), &Page::first(1)).await.unwrap()[0], stored);
    let policy = fixture.look_up("a", "t", &["read"]).await.policy.unwrap();
    assert_eq!(*policy.scopes()[0], written);
    let text = |mapping: &ScopeMapping| serde_json::to_string(mapping.claims()).unwrap();
    assert_eq!(text(&stored.record), text(&written));
    stored.record
}

pub(crate) async fn the_largest_mapping_is_kept(fixture: Fixture) {
    let scopes = (0..MAX_SCOPES).map(|i| Scope::parse(&format!("{i:~>256}")).unwrap()).collect();
    let audiences = (0..MAX_AUDIENCES).map(|i| Audience::parse(&format!("{i:\u{e4}>512}")).unwrap());
    kept(&fixture, ResourceMapping::new(key("a", "t"), scopes, audiences.collect()).unwrap()).await;
}

pub(crate) async fn the_largest_claims_are_kept(fixture: Fixture) {
    kept_claims(&fixture, json!({"a": "x".repeat(MAX_CLAIMS_BYTES - 8)})).await;
}

pub(crate) async fn the_longest_names_are_kept(fixture: Fixture) {
    let (client, context) = ("\u{1f600}".repeat(128), format!("/%'\"\\{}", "t".repeat(507)));
    kept(&fixture, mapping(&client, &context, &["!#$%&'()*+,-./:;<=>?@[]^_`{|}~"])).await;
    assert_eq!(fixture.mappings().await, [format!("{client}/{context}")]);
}

pub(crate) async fn expiry_and_description_are_kept_and_removed(fixture: Fixture) {
    let plain = mapping("a", "t", &["read"]);
    let description = format!("two\nlines\t\u{1f600} '{}", "x".repeat(1_000));
    for expires_at in ["2027-01-15T08:00:00.123456Z", "1969-12-31T23:59:59.999999Z", "9999-12-30T22:00:00Z"] {
        let expires_at: Timestamp = expires_at.parse().unwrap();
        let full = plain.clone().with_expiry(Some(expires_at));
        kept(&fixture, full.with_description(Some(description.clone())).unwrap()).await;
        fixture.change(vec![replace(plain.clone())]).await.unwrap();
        assert_eq!(fixture.store.mapping(plain.key()).await.unwrap().unwrap().record, plain);
        fixture.change(vec![crate::fixture::delete("a", "t")]).await.unwrap();
    }
}

pub(crate) async fn times_have_microseconds(fixture: Fixture) {
    for micros in ["000001", "123456", "999999", "100000"] {
        let at: Timestamp = format!("2027-01-15T08:00:00.{micros}Z").parse().unwrap();
        let change = Change::CreateMapping(mapping("a", micros, &[]));
        fixture.store.change(vec![change], &author_at(at)).await.unwrap();
        let stored = fixture.store.mapping(&key("a", micros)).await.unwrap().unwrap();
        assert_eq!((stored.created_at, stored.updated_at), (at, at));
    }
    assert_eq!(THEN.as_microsecond() % 1_000_000, 123_456);
}

pub(crate) async fn numbers_in_claims_are_kept_exactly(fixture: Fixture) {
    let numbers = json!([
        0,
        -1,
        u64::MAX,
        i64::MIN,
        9_007_199_254_740_993_u64,
        0.1,
        0.3,
        2.5e-8,
        5e-324,
        123_456_789.123_456_79,
        // Without a fraction, and beyond what a float keeps each digit of.
        1.5e18,
    ]);
    let kept = kept_claims(&fixture, json!({"numbers": numbers})).await;
    assert_eq!(kept.claims()["numbers"][2], u64::MAX);
}

pub(crate) async fn texts_in_claims_are_kept_exactly(fixture: Fixture) {
    let odd = json!({
        "empty": "", "quotes": "\"'\\ /", "control": "\u{1}\t\r\n\u{7f}", "unicode": "\u{e4}a\u{308}\u{1f600}\u{2028}",
        "sql": "'); DROP TABLE scope_mappings; --", "https://example.com/claim": [null, true, [], {}, {"": ""}],
    });
    kept_claims(&fixture, odd).await;
}

pub(crate) async fn claims_are_sorted_by_name(fixture: Fixture) {
    let kept = kept_claims(&fixture, json!({"b": 1, "a": {"z": 1, "aa": 2}, "B": 3, "ab": 4})).await;
    let text = serde_json::to_string(kept.claims()).unwrap();
    assert_eq!(text, r#"{"B":3,"a":{"aa":2,"z":1},"ab":4,"b":1}"#);
}
