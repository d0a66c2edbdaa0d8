//! Transactions that meet others, or are cut off.

use std::time::Duration;

use jwtlet_core::{
    PolicyStore,
    audit::{AuditFilter, Broken, ChainVerifier},
    change::{Applied, Change, ChangeError, Precondition},
    store::Page,
};
use jwtlet_testkit::wait_for;
use tokio::time::timeout;

use crate::{
    fixture::{PATIENCE, author, create, key, mapping, ready, replace},
    postgres::{Database, Replica, is_outage},
};

async fn verify(replica: &Replica) -> Result<u64, Broken> {
    let mut verifier = ChainVerifier::default();
    for record in replica.chain(&Page::first(usize::MAX)).await.unwrap() {
        verifier.follow(&record)?;
    }
    verifier.finish(replica.chain_head().await.unwrap())?;
    Ok(verifier.head().sequence)
}

async fn waits_for_a_lock(database: &Database<'_>) {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'jwtlet' AND wait_event_type = 'Lock'";
    wait_for(async || database.count(WAITING).await == 1, PATIENCE).await.unwrap();
}

fn is_store_outage(outcome: Result<Vec<Applied>, ChangeError>) -> bool {
    matches!(outcome, Err(ChangeError::Upstream(error)) if is_outage(&error))
}

#[tokio::test]
async fn a_connection_that_is_cut_in_a_transaction_leaves_nothing_behind() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t"), create("b", "t")], &author()).await.unwrap();
    let mut other = database.admin().await;
    let lock = "BEGIN; SELECT FROM resource_mappings WHERE client_identifier = 'b' FOR UPDATE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();

    let changes =
        vec![replace(mapping("a", "t", &["read"])), replace(mapping("b", "t", &["read"])), create("c", "t")];
    let author = author();
    let (outcome, ()) = tokio::join!(replica.change(changes.clone(), &author), async {
        waits_for_a_lock(&database).await;
        database.postgres.terminate_backends(&database.url).await.unwrap();
    });
    assert!(is_store_outage(outcome));
    assert_eq!(replica.granted(&key("a", "t")).await, Some(vec![]));
    assert!(replica.granted(&key("c", "t")).await.is_none());
    assert_eq!(verify(&replica).await, Ok(2));

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    replica.change(changes, &author).await.unwrap();
    assert_eq!(verify(&replica).await, Ok(5));
}

#[tokio::test]
async fn a_transaction_waits_for_a_lock_only_so_long() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    let mut other = database.admin().await;
    sqlx::raw_sql("BEGIN; SELECT FROM audit_head FOR UPDATE").execute(&mut other).await.unwrap();
    let waited = timeout(Duration::from_secs(10), replica.change(vec![create("a", "t")], &author())).await;
    assert!(is_store_outage(waited.unwrap()));
    // Readers do not wait.
    assert!(replica.granted(&key("a", "t")).await.is_none());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_loses_a_deadlock_is_made_again() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t"), create("b", "t")], &author()).await.unwrap();
    let mut other = database.admin().await;
    // Whoever looks first loses; the other one looks late.
    let lock = "SET deadlock_timeout = '1min'; BEGIN;
        UPDATE resource_mappings SET description = 'by hand' WHERE client_identifier = 'b'";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let changes = vec![replace(mapping("a", "t", &["read"])), replace(mapping("b", "t", &["read"]))];
    let author = author();
    let (outcome, ()) = tokio::join!(replica.change(changes, &author), async {
        waits_for_a_lock(&database).await;
        let deadlock =
            "UPDATE resource_mappings SET description = 'by hand' WHERE client_identifier = 'a'; COMMIT";
        sqlx::raw_sql(deadlock).execute(&mut other).await.unwrap();
    });
    outcome.unwrap();
    assert!(database.postgres.log().unwrap().contains("deadlock detected"));
    let stored = replica.mapping(&key("b", "t")).await.unwrap().unwrap();
    // Created, changed by hand, replaced: the second attempt read what the first one did not know of.
    assert_eq!((stored.version, stored.record.scopes().len()), (3, 1));
    assert_eq!(verify(&replica).await, Ok(4));
}

#[tokio::test]
async fn a_refused_change_gives_its_connection_and_its_lock_back() {
    let database = Database::shared().await;
    let mut settings = database.settings();
    settings.max_connections = 1;
    let replica = Replica::start(settings);
    ready(&replica).await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    let backends = "SELECT count(DISTINCT backend_start) FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'jwtlet'";
    for _ in 0..20 {
        assert!(matches!(
            replica.change(vec![create("a", "t")], &author()).await,
            Err(ChangeError::Exists(_))
        ));
        let missing = Change::DeleteMapping(key("b", "t"), Precondition::Exists);
        assert!(replica.change(vec![missing], &author()).await.is_err());
    }
    assert_eq!(database.count(backends).await, 1);
    assert_eq!(verify(&replica).await, Ok(1));
}

#[tokio::test]
async fn the_trail_cannot_be_truncated() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    for statement in
        ["TRUNCATE audit_log", "UPDATE audit_log SET actor = 'x' WHERE false", "DELETE FROM audit_log"]
    {
        let error = sqlx::raw_sql(statement).execute(&mut database.admin().await).await.unwrap_err();
        assert!(error.to_string().contains("audit_log is append-only"), "{statement}: {error}");
    }
    assert_eq!(verify(&replica).await, Ok(1));
}

#[tokio::test]
async fn a_trail_that_a_superuser_altered_is_found_out() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t"), create("b", "t"), create("c", "t")], &author()).await.unwrap();
    let alter = "SET session_replication_role = replica;
        UPDATE audit_log SET record = replace(record, 'ops:admin', 'ops:other'),
            hash = encode(sha256(convert_to(replace(record, 'ops:admin', 'ops:other'), 'UTF8')), 'hex')
        WHERE sequence = 2";
    database.execute(alter).await;
    assert_eq!(verify(&replica).await, Err(Broken::Unchained { sequence: 3 }));
}

#[tokio::test]
async fn a_filter_that_nothing_can_match_is_no_outage() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    for text in ["\0", &"x".repeat(100_000)] {
        let filter = AuditFilter { request_id: Some(text.into()), ..AuditFilter::default() };
        assert!(replica.audit(&filter, &Page::first(10)).await.unwrap().is_empty());
    }
}
