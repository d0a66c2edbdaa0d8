//! What people write to the tables by hand, and what they may not do to the trail.

use jwtlet_core::{
    PolicyStore,
    audit::{AuditFilter, Broken},
    change::{Change, Precondition},
    store::{MappingFilter, Page, ScopeFilter},
};
use serde_json::json;

use crate::fixture::{Fixture, create, key, mapping, scope};

async fn with_three_records(fixture: &Fixture) {
    fixture.change((1..=3).map(|n| create("a", &format!("{n}"))).collect()).await.unwrap();
    assert_eq!(fixture.verify(2).await.unwrap().sequence, 3);
}

pub(crate) async fn the_trail_cannot_be_altered(fixture: Fixture) {
    with_three_records(&fixture).await;
    for statement in [
        "UPDATE audit_log SET actor = 'somebody' WHERE sequence = 2",
        "UPDATE audit_log SET record = replace(record, 'applied', 'refused')",
        "DELETE FROM audit_log WHERE sequence = 2",
        "DELETE FROM audit_log",
    ] {
        let error = fixture.execute(statement).await.unwrap_err().to_string();
        assert!(error.contains("audit_log is append-only"), "{statement}: {error}");
    }
    assert_eq!(fixture.verify(2).await.unwrap().sequence, 3);
}

pub(crate) async fn an_altered_record_breaks_the_chain(fixture: Fixture) {
    with_three_records(&fixture).await;
    fixture
        .tamper("UPDATE audit_log SET record = replace(record, 'request-1', 'request-2') WHERE sequence = 2")
        .await;
    assert_eq!(fixture.verify(2).await, Err(Broken::Altered { sequence: 2 }));
    // The trail goes on, and what is broken stays broken.
    fixture.change(vec![create("b", "1")]).await.unwrap();
    assert_eq!(fixture.verify(2).await, Err(Broken::Altered { sequence: 2 }));
}

pub(crate) async fn a_removed_record_breaks_the_chain(fixture: Fixture) {
    with_three_records(&fixture).await;
    fixture.tamper("DELETE FROM audit_log WHERE sequence = 2").await;
    assert_eq!(fixture.verify(1).await, Err(Broken::Missing { missing: 2 }));
}

pub(crate) async fn a_cut_off_end_breaks_the_chain(fixture: Fixture) {
    with_three_records(&fixture).await;
    fixture.tamper("DELETE FROM audit_log WHERE sequence > 1").await;
    assert_eq!(fixture.verify(2).await, Err(Broken::HeadDiffers { found: 1, head: 3 }));
    fixture.change(vec![create("b", "1")]).await.unwrap();
    assert_eq!(fixture.verify(2).await, Err(Broken::Missing { missing: 2 }));
}

pub(crate) async fn an_unreadable_record_is_left_out_of_the_trail(fixture: Fixture) {
    with_three_records(&fixture).await;
    fixture.tamper("UPDATE audit_log SET record = '{', hash = 'none' WHERE sequence = 3").await;
    let page = fixture.store.audit(&AuditFilter::default(), &Page::first(2)).await.unwrap();
    assert_eq!(page.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(fixture.verify(2).await, Err(Broken::Altered { sequence: 3 }));
}

pub(crate) async fn rows_that_break_rules_are_left_out(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read", "write"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    for statement in [
        "INSERT INTO resource_mappings (client_identifier, participant_context) VALUES ('', 't'), ('b', '..')",
        "INSERT INTO scope_mappings (scope) VALUES (''), ('a b')",
    ] {
        fixture.execute(statement).await.unwrap();
    }
    assert_eq!(fixture.mappings().await, ["a/t"]);
    let listed = fixture.store.list_scopes(&ScopeFilter::default(), &Page::first(10)).await.unwrap();
    assert_eq!(listed.iter().map(|stored| stored.record.scope().as_str()).collect::<Vec<_>>(), ["read"]);
    let lookup = fixture.look_up("a", "t", &["read"]).await;
    assert_eq!(lookup.policy.unwrap().scopes().len(), 1);
    // They can be removed by hand, and do not stand in the way of changes.
    fixture.change(vec![Change::DeleteScope(scope("read"), Precondition::Exists)]).await.unwrap();
}

pub(crate) async fn a_page_is_filled_up_when_rows_are_left_out(fixture: Fixture) {
    fixture.created(&[("a", "1", &[]), ("a", "3", &[]), ("a", "5", &[])]).await;
    let unreadable = "INSERT INTO resource_mappings (client_identifier, participant_context) \
        VALUES ('', '0'), ('a', '..'), ('a', '.')";
    fixture.execute(unreadable).await.unwrap();
    let page = async |after: Option<&str>| {
        let after = after.map(|context| key("a", context));
        fixture.listed(MappingFilter::default(), Page { after, limit: 2 }).await
    };
    assert_eq!(page(None).await, ["a/1", "a/3"]);
    assert_eq!(page(Some("3")).await, ["a/5"]);
}

pub(crate) async fn a_row_made_by_hand_is_the_first_version(fixture: Fixture) {
    fixture
        .execute("INSERT INTO resource_mappings (client_identifier, participant_context) VALUES ('a', 't')")
        .await
        .unwrap();
    fixture.execute("INSERT INTO scope_mappings (scope) VALUES ('read')").await.unwrap();
    let mapping = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert!(mapping.record.scopes().is_empty() && mapping.record.audiences().is_empty());
    assert_eq!((mapping.version, mapping.record.expires_at(), mapping.record.description()), (1, None, None));
    let scope = fixture.store.scope(&scope("read")).await.unwrap().unwrap();
    assert_eq!((scope.version, scope.record.claims().len()), (1, 0));
    let year = |time: jiff::Timestamp| time.to_string()[..4].parse::<u16>().unwrap();
    assert!(year(mapping.created_at) >= 2026 && year(scope.updated_at) >= 2026);
}

pub(crate) async fn an_update_by_hand_makes_another_revision(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    fixture.execute("UPDATE resource_mappings SET description = 'by hand'").await.unwrap();
    fixture.execute("UPDATE scope_mappings SET claims = '{\"r\": 2}'").await.unwrap();
    let stored = fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.record.description()), (2, Some("by hand")));
    assert!(stored.updated_at != stored.created_at);
    assert_eq!(fixture.store.scope(&scope("read")).await.unwrap().unwrap().version, 2);
    let revision = Precondition::OneOf(vec![stored.revision()]);
    fixture.change(vec![Change::ReplaceMapping(mapping("a", "t", &[]), revision)]).await.unwrap();
    assert_eq!(fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap().version, 3);
}

/// No audience means the default one, so leaving out all of them would grant more than was written.
pub(crate) async fn a_mapping_without_readable_audiences_grants_nothing(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"]), ("a", "u", &["read"])]).await;
    let statement = fixture.audiences_statement();
    fixture.execute(statement).await.unwrap();
    assert!(fixture.store.mapping(&key("a", "t")).await.unwrap().is_none());
    assert_eq!(fixture.mappings().await, ["a/u"]);
}
