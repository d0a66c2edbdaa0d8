//! SQLite in a file: that it lasts, and that what others do to the file counts.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use jwtlet_core::{
    PolicyStore,
    health::Health,
    store::{Freshness, MappingFilter, Page},
};
use jwtlet_store::Backend;
use jwtlet_testkit::wait_until;
use serde_json::json;
use tokio::time::Instant;

use crate::fixture::{Fixture, PATIENCE, author, by_hand, create, delete, key, mapping, ready, run, scopes};

fn file(path: &Path) -> Backend {
    Backend::Sqlite { path: path.to_owned() }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    for round in 1..=3 {
        let (store, running) = run(file(&path));
        ready(&store).await;
        assert_eq!(store.chain_head().await.unwrap().sequence, round - 1);
        store.change(vec![create("a", &round.to_string())], &author()).await.unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    let (store, running) = run(file(&path));
    ready(&store).await;
    let listed = store.list_mappings(&MappingFilter::default(), &Page::first(10)).await.unwrap();
    assert_eq!(listed.len(), 3);
    running.abort();
}

#[tokio::test]
async fn its_files_are_readable_by_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    let (store, running) = run(file(&path));
    ready(&store).await;
    store.change(vec![create("a", "t")], &author()).await.unwrap();
    let mut files: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            format!("{} {mode:o}", entry.file_name().display())
        })
        .collect();
    files.sort();
    assert_eq!(files, ["jwtlet.db 600", "jwtlet.db-shm 600", "jwtlet.db-wal 600"]);
    running.abort();
}

/// Looks up the policy of `a` for `t` until it is as expected; one that is asked for a second after the change has to be.
async fn expect_within_a_second(fixture: &Fixture, expected: impl Fn(&jwtlet_core::store::Lookup) -> bool) {
    let changed_at = Instant::now();
    loop {
        let asked_at = Instant::now();
        if expected(&fixture.look_up("a", "t", &[]).await) {
            return;
        }
        assert!(asked_at < changed_at + Duration::from_secs(1), "the change is not noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_deletion_by_hand_is_noticed_within_a_second() {
    let fixture = Fixture::sqlite().await;
    fixture.created(&[("a", "t", &["read"])]).await;
    fixture.remembered("a", "t", &[]).await;
    fixture.execute("DELETE FROM resource_mappings").await.unwrap();
    expect_within_a_second(&fixture, |lookup| lookup.policy.is_none()).await;
}

#[tokio::test]
async fn an_update_by_hand_is_noticed_within_a_second() {
    let fixture = Fixture::sqlite().await;
    fixture.created(&[("a", "t", &["read", "write"])]).await;
    fixture.created_scopes(&[("read", json!({"r": 1}))]).await;
    fixture.remembered("a", "t", &["read"]).await;
    fixture.execute("UPDATE resource_mappings SET scopes = '[\"read\"]'").await.unwrap();
    let narrowed = |lookup: &jwtlet_core::store::Lookup| {
        lookup.policy.as_ref().unwrap().mapping().scopes() == scopes(&["read"])
    };
    expect_within_a_second(&fixture, narrowed).await;

    fixture.remembered("a", "t", &["read"]).await;
    fixture.execute("UPDATE scope_mappings SET claims = '{\"r\": 2}'").await.unwrap();
    let changed =
        |lookup: &jwtlet_core::store::Lookup| lookup.policy.as_ref().unwrap().scopes()[0].claims()["r"] == 2;
    expect_within_a_second(&fixture, changed).await;
}

#[tokio::test]
async fn own_changes_leave_other_policies_remembered() {
    let fixture = Fixture::sqlite().await;
    fixture.created(&[("a", "t", &[])]).await;
    fixture.remembered("a", "t", &[]).await;
    for n in 0..20 {
        fixture.created(&[("b", &n.to_string(), &[])]).await;
        let lookup = fixture.remembered("a", "t", &[]).await;
        assert_eq!(lookup.freshness, Freshness::Recent);
    }
}

#[tokio::test]
async fn two_processes_may_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    let (one, running_one) = run(file(&path));
    let (two, running_two) = run(file(&path));
    ready(&one).await;
    ready(&two).await;
    for n in 0..20 {
        let n = n.to_string();
        let (author_one, author_two) = (author(), author());
        let both = tokio::join!(
            one.change(vec![create("one", &n)], &author_one),
            two.change(vec![create("two", &n)], &author_two)
        );
        both.0.unwrap();
        both.1.unwrap();
        let seen = two.policy(&key("one", &n), &[], Freshness::Recent).await.unwrap().policy.unwrap();
        assert_eq!(*seen.mapping(), mapping("one", &n, &[]));
        one.change(vec![delete("two", &n)], &author()).await.unwrap();
    }
    let mut verifier = jwtlet_core::audit::ChainVerifier::default();
    for record in two.chain(&Page::first(100)).await.unwrap() {
        verifier.follow(&record).unwrap();
    }
    assert_eq!(verifier.head().sequence, 60);
    verifier.finish(one.chain_head().await.unwrap()).unwrap();
    running_one.abort();
    running_two.abort();
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    let (store, running) = run(file(&path));
    ready(&store).await;
    running.abort();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9000, 'from the future', true, x'00', 0)";
    sqlx::raw_sql(newer).execute(&by_hand(&path)).await.unwrap();

    let (store, running) = run(file(&path));
    let reason = Health::NotReady(
        "the schema of the database has version 9000, and this jwtlet knows versions up to 2; deploy the newer jwtlet"
            .into(),
    );
    wait_until(|| store.health() == reason, PATIENCE).await.unwrap();
    assert!(store.policy(&key("a", "t"), &[], Freshness::Recent).await.is_err());
    assert!(store.change(vec![create("a", "t")], &author()).await.is_err());
    running.abort();
}
