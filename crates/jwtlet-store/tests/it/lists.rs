//! Lists: their order, their pages, their filters.

use jwtlet_core::{
    PolicyStore,
    store::{MappingFilter, Page, ScopeFilter},
};
use serde_json::json;

use crate::fixture::{Fixture, client, context, key, scope};

pub(crate) async fn mappings_are_sorted_byte_by_byte(fixture: Fixture) {
    fixture
        .created(&[
            ("b", "t", &[]),
            ("\u{e4}", "t", &[]),
            ("a", "u", &[]),
            ("B", "t", &[]),
            ("a", "t", &[]),
            ("a b", "t", &[]),
            ("ab", "t", &[]),
            ("a-b", "t", &[]),
            ("\u{1f600}", "t", &[]),
            ("\u{ff5e}", "t", &[]),
            ("a", "T", &[]),
        ])
        .await;
    assert_eq!(
        fixture.mappings().await,
        [
            "B/t",
            "a/T",
            "a/t",
            "a/u",
            "a b/t",
            "a-b/t",
            "ab/t",
            "b/t",
            "\u{e4}/t",
            "\u{ff5e}/t",
            "\u{1f600}/t"
        ]
    );
}

async fn five(fixture: &Fixture) {
    fixture
        .created(&[
            ("a", "t", &["write"]),
            ("a", "u", &["read", "write"]),
            ("a", "v", &["read"]),
            ("b", "t", &["read"]),
            ("c", "t", &["READ"]),
        ])
        .await;
}

fn by_client(name: &str) -> MappingFilter {
    MappingFilter { client_identifier: Some(client(name)), ..Default::default() }
}

fn by_context(name: &str) -> MappingFilter {
    MappingFilter { participant_context: Some(context(name)), ..Default::default() }
}

fn by_scope(name: &str) -> MappingFilter {
    MappingFilter { scope: Some(scope(name)), ..Default::default() }
}

pub(crate) async fn mappings_are_filtered(fixture: Fixture) {
    five(&fixture).await;
    let all = || Page::first(usize::MAX);
    assert_eq!(fixture.listed(by_client("a"), all()).await, ["a/t", "a/u", "a/v"]);
    assert_eq!(fixture.listed(by_context("t"), all()).await, ["a/t", "b/t", "c/t"]);
    assert_eq!(fixture.listed(by_scope("read"), all()).await, ["a/u", "a/v", "b/t"]);
    let both = MappingFilter { scope: Some(scope("write")), ..by_context("t") };
    assert_eq!(fixture.listed(both, all()).await, ["a/t"]);
    let three = MappingFilter {
        participant_context: Some(context("u")),
        scope: Some(scope("read")),
        ..by_client("a")
    };
    assert_eq!(fixture.listed(three, all()).await, ["a/u"]);
    assert!(fixture.listed(by_client("A"), all()).await.is_empty());
    assert!(fixture.listed(by_scope("rea"), all()).await.is_empty());
}

pub(crate) async fn mappings_come_in_pages(fixture: Fixture) {
    five(&fixture).await;
    let page = async |after: Option<(&str, &str)>, limit| {
        let after = after.map(|(client, context)| key(client, context));
        fixture.listed(MappingFilter::default(), Page { after, limit }).await
    };
    assert_eq!(page(None, 2).await, ["a/t", "a/u"]);
    assert_eq!(page(Some(("a", "u")), 2).await, ["a/v", "b/t"]);
    assert_eq!(page(Some(("b", "t")), 2).await, ["c/t"]);
    assert!(page(Some(("c", "t")), 2).await.is_empty());
    assert!(page(None, 0).await.is_empty());
    // A page goes on after a key that is gone.
    assert_eq!(page(Some(("a", "uu")), 1).await, ["a/v"]);
}

pub(crate) async fn filtered_mappings_come_in_pages(fixture: Fixture) {
    five(&fixture).await;
    let after = |client, context, limit| Page { after: Some(key(client, context)), limit };
    assert_eq!(fixture.listed(by_client("a"), after("a", "t", 1)).await, ["a/u"]);
    assert_eq!(fixture.listed(by_context("t"), after("a", "t", 1)).await, ["b/t"]);
    assert_eq!(fixture.listed(by_context("t"), after("a", "z", 5)).await, ["b/t", "c/t"]);
    assert_eq!(fixture.listed(by_scope("read"), after("a", "u", 5)).await, ["a/v", "b/t"]);
}

pub(crate) async fn scope_mappings_come_sorted_and_in_pages(fixture: Fixture) {
    let claims = json!({});
    let all = ["b", "a:b", "a", "A", "a-b", "~"].map(|scope| (scope, claims.clone()));
    fixture.created_scopes(&all).await;
    let page = async |after: Option<&str>, limit| -> Vec<String> {
        let page = Page { after: after.map(scope), limit };
        let listed = fixture.store.list_scopes(&ScopeFilter::default(), &page).await.unwrap();
        listed.iter().map(|stored| stored.record.scope().to_string()).collect()
    };
    assert_eq!(page(None, usize::MAX).await, ["A", "a", "a-b", "a:b", "b", "~"]);
    assert_eq!(page(None, 2).await, ["A", "a"]);
    assert_eq!(page(Some("a"), 2).await, ["a-b", "a:b"]);
    assert_eq!(page(Some("b"), 2).await, ["~"]);
    assert!(page(Some("~"), 2).await.is_empty());
}
