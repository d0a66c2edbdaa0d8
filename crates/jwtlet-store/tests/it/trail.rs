//! The audit trail: what is recorded, how it is read, and that it is one chain.

use jiff::{SignedDuration, Timestamp};
use jwtlet_core::{
    PolicyStore,
    audit::{Action, AuditEntry, AuditFilter, AuditKey, AuditRecord, ChainHead, Outcome},
    change::{Author, Change, Precondition},
    store::Page,
};
use serde_json::json;

use crate::fixture::{
    Fixture, THEN, author, author_at, client, create, delete, mapping, replace, scope, scope_mapping,
};

async fn records(fixture: &Fixture) -> Vec<AuditRecord> {
    fixture.store.audit(&AuditFilter::default(), &Page::first(usize::MAX)).await.unwrap()
}

async fn sequences(fixture: &Fixture, filter: AuditFilter, page: Page<u64>) -> Vec<u64> {
    let records = fixture.store.audit(&filter, &page).await.unwrap();
    records.iter().map(|record| record.sequence).collect()
}

fn refusal(client: &str) -> AuditEntry {
    AuditEntry {
        action: Action::CreateMapping,
        key: AuditKey::from(&crate::fixture::client(client)),
        outcome: Outcome::Refused,
        reason: Some("the role is missing".into()),
        before: None,
        after: None,
    }
}

pub(crate) async fn a_record_tells_who_did_what_and_when(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let record = records(&fixture).await.remove(0);
    assert_eq!((record.sequence, record.time), (1, THEN));
    assert_eq!(record.actor.sub, "system:serviceaccount:ops:admin");
    assert_eq!(record.actor.uid.as_deref(), Some("uid-1"));
    assert_eq!(record.request_id, "request-1");
    assert_eq!(
        (record.action, record.outcome, record.reason),
        (Action::CreateMapping, Outcome::Applied, None)
    );
    assert_eq!(record.key.client_identifier.as_deref(), Some("a"));
    assert_eq!(record.key.participant_context.as_deref(), Some("t"));
    assert_eq!(record.key.scope, None);
    assert_eq!(record.previous_hash, ChainHead::EMPTY.hash);
}

pub(crate) async fn a_record_has_the_state_before_and_after(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    let expiring = mapping("a", "t", &["write"]).with_expiry(Some(THEN));
    let expiring = expiring.with_description(Some("why".into())).unwrap();
    fixture.change(vec![replace(expiring)]).await.unwrap();
    fixture.change(vec![delete("a", "t")]).await.unwrap();
    let first = json!({
        "clientIdentifier": "a", "participantContext": "t", "scopes": ["read"], "audiences": ["aud"],
        "createdAt": "2027-01-15T08:00:00.123456Z", "updatedAt": "2027-01-15T08:00:00.123456Z", "version": 1,
    });
    let second = json!({
        "clientIdentifier": "a", "participantContext": "t", "scopes": ["write"], "audiences": ["aud"],
        "expiresAt": "2027-01-15T08:00:00.123456Z", "description": "why",
        "createdAt": "2027-01-15T08:00:00.123456Z", "updatedAt": "2027-01-15T08:00:00.123456Z", "version": 2,
    });
    let states: Vec<_> = records(&fixture)
        .await
        .into_iter()
        .rev()
        .map(|record| (record.action, record.before, record.after))
        .collect();
    assert_eq!(
        states,
        [
            (Action::CreateMapping, None, Some(first.clone())),
            (Action::UpdateMapping, Some(first), Some(second.clone())),
            (Action::DeleteMapping, Some(second), None),
        ]
    );
}

pub(crate) async fn changes_of_scope_mappings_are_recorded(fixture: Fixture) {
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    let replacement = scope_mapping("read", json!({"r": 2}));
    fixture.change(vec![Change::ReplaceScope(replacement, Precondition::None)]).await.unwrap();
    fixture.change(vec![Change::DeleteScope(scope("read"), Precondition::None)]).await.unwrap();
    let state = |claims: u64, version: u64| {
        Some(json!({
            "scope": "read", "claims": {"r": claims}, "version": version,
            "createdAt": "2027-01-15T08:00:00.123456Z", "updatedAt": "2027-01-15T08:00:00.123456Z",
        }))
    };
    let recorded: Vec<_> = records(&fixture)
        .await
        .into_iter()
        .rev()
        .map(|record| (record.action, record.key.scope, record.before, record.after))
        .collect();
    let read = || Some("read".to_owned());
    assert_eq!(
        recorded,
        [
            (Action::CreateScope, read(), None, state(1, 1)),
            (Action::UpdateScope, read(), state(1, 1), state(2, 2)),
            (Action::DeleteScope, read(), state(2, 2), None),
        ]
    );
}

pub(crate) async fn one_request_leaves_one_record_for_each_changed_record(fixture: Fixture) {
    fixture.created(&[("a", "u", &[]), ("a", "t", &[])]).await;
    let changes = vec![create("b", "t"), Change::DeleteClient(client("a")), delete("b", "t")];
    fixture.change(changes).await.unwrap();
    assert_eq!(
        fixture.trail().await,
        [
            "mapping.create a/u",
            "mapping.create a/t",
            "mapping.create b/t",
            "mapping.delete a/t",
            "mapping.delete a/u",
            "mapping.delete b/t",
        ]
    );
}

pub(crate) async fn what_changes_nothing_is_not_recorded(fixture: Fixture) {
    let changes = vec![
        delete("a", "t"),
        Change::DeleteClient(client("a")),
        Change::DeleteScope(scope("read"), Precondition::None),
    ];
    fixture.change(changes).await.unwrap();
    fixture.change(vec![]).await.unwrap();
    assert!(fixture.trail().await.is_empty());
    assert_eq!(fixture.store.chain_head().await.unwrap(), ChainHead::EMPTY);
}

pub(crate) async fn a_refusal_is_recorded(fixture: Fixture) {
    fixture.created(&[("a", "t", &[])]).await;
    fixture.store.record_refusal(refusal("b"), &author()).await.unwrap();
    let record = records(&fixture).await.remove(0);
    assert_eq!((record.sequence, record.outcome), (2, Outcome::Refused));
    assert_eq!(record.reason.as_deref(), Some("the role is missing"));
    assert_eq!(record.key.client_identifier.as_deref(), Some("b"));
    assert_eq!(record.key.participant_context, None);
    assert_eq!(fixture.verify(10).await.unwrap().sequence, 2);
}

/// What is refused is often not a name.
pub(crate) async fn a_refusal_of_any_text_is_recorded(fixture: Fixture) {
    let odd = "\0 '\"\\ \n\u{202e}\u{1f600}".repeat(1_000);
    let key = AuditKey {
        client_identifier: Some(odd.clone()),
        participant_context: Some(odd.clone()),
        scope: Some(odd.clone()),
    };
    let refused = AuditEntry { key: key.clone(), reason: Some(odd.clone()), ..refusal("a") };
    fixture.store.record_refusal(refused, &author()).await.unwrap();
    let record = records(&fixture).await.remove(0);
    assert_eq!((record.key, record.reason), (key, Some(odd)));
    assert_eq!(fixture.verify(10).await.unwrap().sequence, 1);
}

pub(crate) async fn the_trail_is_read_from_its_end_in_pages(fixture: Fixture) {
    fixture.change((0..5).map(|i| create("a", &format!("{i}"))).collect()).await.unwrap();
    let page = async |after, limit| sequences(&fixture, AuditFilter::default(), Page { after, limit }).await;
    assert_eq!(page(None, 2).await, [5, 4]);
    assert_eq!(page(Some(4), 2).await, [3, 2]);
    assert_eq!(page(Some(2), 2).await, [1]);
    assert!(page(Some(1), 2).await.is_empty());
    assert!(page(None, 0).await.is_empty());
}

pub(crate) async fn the_trail_is_filtered(fixture: Fixture) {
    let other = Author {
        subject: jwtlet_core::Subject { identity: client("somebody"), uid: None },
        request_id: "request-2".into(),
        apply_id: None,
        at: THEN,
    };
    fixture.created(&[("a", "t", &[]), ("b", "t", &[])]).await;
    fixture.created_scopes(&[("read", json!({}))]).await;
    fixture.store.change(vec![delete("a", "t")], &other).await.unwrap();
    fixture.store.record_refusal(refusal("b"), &other).await.unwrap();
    let found = async |filter| sequences(&fixture, filter, Page::first(10)).await;
    let none = AuditFilter::default;
    assert_eq!(found(AuditFilter { actor: Some("somebody".into()), ..none() }).await, [5, 4]);
    assert_eq!(found(AuditFilter { request_id: Some("request-1".into()), ..none() }).await, [3, 2, 1]);
    assert_eq!(found(AuditFilter { action: Some(Action::CreateMapping), ..none() }).await, [5, 2, 1]);
    assert_eq!(found(AuditFilter { outcome: Some(Outcome::Refused), ..none() }).await, [5]);
    assert_eq!(found(AuditFilter { client_identifier: Some("a".into()), ..none() }).await, [4, 1]);
    assert_eq!(found(AuditFilter { participant_context: Some("t".into()), ..none() }).await, [4, 2, 1]);
    assert_eq!(found(AuditFilter { scope: Some("read".into()), ..none() }).await, [3]);
    assert!(found(AuditFilter { client_identifier: Some("A".into()), ..none() }).await.is_empty());
    let several = AuditFilter {
        action: Some(Action::CreateMapping),
        client_identifier: Some("b".into()),
        outcome: Some(Outcome::Applied),
        ..none()
    };
    assert_eq!(found(several).await, [2]);
}

pub(crate) async fn the_trail_is_filtered_by_time(fixture: Fixture) {
    let micros = |n: i64| -> Timestamp { THEN + SignedDuration::from_micros(n) };
    for n in 0..4 {
        fixture.store.change(vec![create("a", &format!("{n}"))], &author_at(micros(n))).await.unwrap();
    }
    let found = async |from: Option<i64>, until: Option<i64>| {
        let filter =
            AuditFilter { from: from.map(micros), until: until.map(micros), ..AuditFilter::default() };
        sequences(&fixture, filter, Page::first(10)).await
    };
    assert_eq!(found(Some(1), None).await, [4, 3, 2]);
    assert_eq!(found(None, Some(1)).await, [1]);
    assert_eq!(found(Some(1), Some(3)).await, [3, 2]);
    assert!(found(Some(2), Some(2)).await.is_empty());
}

pub(crate) async fn a_whole_chain_is_followed_over_pages(fixture: Fixture) {
    assert_eq!(fixture.verify(3).await, Ok(ChainHead::EMPTY));
    for n in 0..4 {
        fixture.change(vec![create("a", &format!("{n}")), create("b", &format!("{n}"))]).await.unwrap();
    }
    for at_a_time in [1, 3, 8, 100] {
        assert_eq!(fixture.verify(at_a_time).await.unwrap().sequence, 8);
    }
}
