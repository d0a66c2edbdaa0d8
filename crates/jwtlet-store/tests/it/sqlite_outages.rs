//! SQLite when something is in its way: what still works, what callers are told, and that it recovers by itself.

use jwtlet_core::{
    PolicyStore, UpstreamError,
    change::ChangeError,
    health::Health,
    store::Freshness,
    upstream::{System, chain},
};
use jwtlet_store::Backend;
use jwtlet_testkit::wait_until;
use sqlx::Connection;

use crate::fixture::{Fixture, PATIENCE, author, by_hand, create, key, mapping, ready, replace, run};

fn is_outage(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Unavailable { system: System::Store, .. })
}

#[tokio::test]
async fn a_directory_that_appears_later_is_used_then() {
    let directory = tempfile::tempdir().unwrap();
    let mounted = directory.path().join("mounted");
    let (store, running) = run(Backend::Sqlite { path: mounted.join("jwtlet.db") });
    let reason = Health::NotReady("the database file cannot be opened; the log says why".into());
    wait_until(|| store.health() == reason, PATIENCE).await.unwrap();
    let error = store.policy(&key("a", "t"), &[], Freshness::Recent).await.unwrap_err();
    assert!(is_outage(&error));
    assert_eq!(
        chain(&error),
        "the policy store cannot serve at the moment: the database has not been reached yet"
    );
    let error = store.change(vec![create("a", "t")], &author()).await.unwrap_err();
    assert!(matches!(error, ChangeError::Upstream(error) if is_outage(&error)));

    std::fs::create_dir(&mounted).unwrap();
    ready(&store).await;
    store.change(vec![create("a", "t")], &author()).await.unwrap();
    running.abort();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "these are notes, and no database\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let (store, running) = run(Backend::Sqlite { path: path.clone() });
    let reason = Health::NotReady("the database cannot be reached; the log says why".into());
    wait_until(|| store.health() == reason, PATIENCE).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    running.abort();
}

#[tokio::test]
async fn a_lock_of_somebody_else_stops_changes_but_no_exchange() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwtlet.db");
    let (store, running) = run(Backend::Sqlite { path: path.clone() });
    ready(&store).await;
    store.change(vec![create("a", "t")], &author()).await.unwrap();

    let mut somebody = by_hand(&path).acquire().await.unwrap();
    let lock = somebody.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let author = author();
    let change = store.change(vec![replace(mapping("a", "t", &["read"]))], &author);
    let exchanges = async {
        for _ in 0..100 {
            let lookup = store.policy(&key("a", "t"), &[], Freshness::Current).await.unwrap();
            assert_eq!(*lookup.policy.unwrap().mapping(), mapping("a", "t", &[]));
        }
    };
    let (change, ()) = tokio::join!(change, exchanges);
    let Err(ChangeError::Upstream(error)) = change else { panic!("{change:?}") };
    assert!(is_outage(&error));
    assert!(chain(&error).contains("database is locked"), "{}", chain(&error));
    assert_eq!(store.health(), Health::Ready);

    lock.rollback().await.unwrap();
    store.change(vec![replace(mapping("a", "t", &["read"]))], &author).await.unwrap();
    running.abort();
}

#[tokio::test]
async fn a_failed_change_does_not_stop_the_next() {
    let fixture = Fixture::sqlite().await;
    let broken =
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ROLLBACK, 'broken'); END";
    fixture.execute(broken).await.unwrap();
    for _ in 0..3 {
        // Like a full disk, it ends the transaction behind our back.
        let error = fixture.change(vec![create("a", "t")]).await.unwrap_err();
        assert!(matches!(error, ChangeError::Upstream(error) if is_outage(&error)));
    }
    fixture.execute("DROP TRIGGER broken").await.unwrap();
    assert!(fixture.mappings().await.is_empty());
    fixture.change(vec![create("a", "t")]).await.unwrap();
    assert_eq!(fixture.verify(10).await.unwrap().sequence, 1);
}
