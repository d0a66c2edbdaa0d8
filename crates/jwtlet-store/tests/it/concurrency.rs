//! Many at once.

use std::time::Duration;

use jwtlet_core::{
    PolicyStore,
    change::{Change, ChangeError, Precondition},
    store::{Freshness, Revision},
};
use jwtlet_testkit::wait_for;
use serde_json::json;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, PATIENCE, THEN, author, create, key, mapping, replace, scope_mapping};

const WRITERS: usize = 16;

pub(crate) async fn of_many_who_create_a_key_one_does(fixture: Fixture) {
    const KEYS: usize = 10;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = fixture.store.clone();
        writers.spawn(async move {
            let mut created = 0;
            for n in 0..KEYS {
                match store.change(vec![create("a", &format!("{n}"))], &author()).await {
                    Ok(_) => created += 1,
                    Err(ChangeError::Exists(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            created
        });
    }
    assert_eq!(writers.join_all().await.iter().sum::<usize>(), KEYS);
    assert_eq!(fixture.mappings().await.len(), KEYS);
    assert_eq!(fixture.verify(7).await.unwrap().sequence, KEYS as u64);
}

pub(crate) async fn of_many_who_expect_a_revision_one_replaces_it(fixture: Fixture) {
    fixture.created(&[("a", "t", &[])]).await;
    let condition = Precondition::OneOf(vec![Revision { version: 1, updated_at: THEN }]);
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let store = fixture.store.clone();
        let change = Change::ReplaceMapping(mapping("a", "t", &[&format!("by-{n}")]), condition.clone());
        writers.spawn(async move {
            match store.change(vec![change], &author()).await {
                Ok(_) => true,
                Err(ChangeError::PreconditionFailed(_)) => false,
                Err(error) => panic!("{error}"),
            }
        });
    }
    assert_eq!(writers.join_all().await.into_iter().filter(|replaced| *replaced).count(), 1);
    assert_eq!(fixture.store.mapping(&key("a", "t")).await.unwrap().unwrap().version, 2);
    assert_eq!(fixture.verify(7).await.unwrap().sequence, 2);
}

pub(crate) async fn a_reader_sees_all_of_a_change_or_nothing(fixture: Fixture) {
    const ROUNDS: u64 = 100;
    let state = |n: u64| {
        let mapping = mapping("a", "t", &["read"]).with_description(Some(n.to_string())).unwrap();
        (mapping, scope_mapping("read", json!({"n": n.to_string()})))
    };
    let (first, first_scope) = state(0);
    fixture.change(vec![Change::CreateMapping(first), Change::CreateScope(first_scope)]).await.unwrap();
    let store = fixture.store.clone();
    let writer = tokio::spawn(async move {
        for n in 1..=ROUNDS {
            let (mapping, scope) = state(n);
            let changes = vec![Change::ReplaceScope(scope, Precondition::None), replace(mapping)];
            store.change(changes, &author()).await.unwrap();
        }
    });
    let mut newest = 0;
    while newest < ROUNDS {
        for freshness in [Freshness::Recent, Freshness::Current] {
            let lookup = fixture.store.policy(&key("a", "t"), &[], freshness).await.unwrap();
            let policy = lookup.policy.unwrap();
            let description = policy.mapping().description().unwrap();
            assert_eq!(policy.scopes()[0].claims()["n"], description);
            let seen = description.parse().unwrap();
            assert!(freshness == Freshness::Recent || seen >= newest, "{seen} after {newest}");
            newest = newest.max(seen);
        }
    }
    writer.await.unwrap();
}

/// A request that is cut off must not leave something remembered that the change it asked for made untrue.
pub(crate) async fn a_change_goes_on_without_who_asked_for_it(fixture: Fixture) {
    fixture.created(&[("a", "t", &["read"])]).await;
    for n in 0..50_u64 {
        fixture.remembered("a", "t", &[]).await;
        let expected = mapping("a", "t", &[&format!("{n}")]);
        let author = author();
        let change = fixture.store.change(vec![replace(expected.clone())], &author);
        let cut_off = Duration::from_micros(n * 40);
        if tokio::time::timeout(cut_off, change).await.is_ok() {
            continue;
        }
        let arrived = async || {
            let lookup = fixture.look_up("a", "t", &[]).await;
            *lookup.policy.unwrap().mapping() == expected
        };
        wait_for(arrived, PATIENCE).await.unwrap();
    }
}
