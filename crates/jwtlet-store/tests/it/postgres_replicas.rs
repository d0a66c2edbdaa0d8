//! Several replicas on one database: what one does counts on the others, whatever happens to their connections.

use jwtlet_core::{
    PolicyStore,
    change::{Change, Precondition},
    store::Freshness,
};
use jwtlet_testkit::wait_for;
use serde_json::json;

use crate::{
    fixture::{author, client, create, delete, key, mapping, ready, replace, scope, scope_mapping, scopes},
    postgres::{BOUND, Database, Replica},
};

async fn grant(replica: &Replica, granted: &[&str]) {
    let change = Change::CreateMapping(mapping("a", "t", granted));
    replica.change(vec![delete("a", "t"), change], &author()).await.unwrap();
}

#[tokio::test]
async fn what_is_created_on_one_replica_counts_at_once_on_another() {
    let database = Database::shared().await;
    let (a, b) = (database.replica().await, database.replica().await);
    for round in 0..1_000 {
        let context = round.to_string();
        assert!(b.look_up(&key("a", &context)).await.policy.is_none());
        a.change(vec![create("a", &context)], &author()).await.unwrap();
        assert!(b.look_up(&key("a", &context)).await.policy.is_some(), "round {round}");
    }
}

#[tokio::test]
async fn what_is_deleted_or_narrowed_on_one_replica_ends_on_another_within_a_second() {
    let database = Database::shared().await;
    let (a, b) = (database.replica().await, database.replica().await);
    let key = key("a", "t");
    for _ in 0..50 {
        grant(&a, &["read", "write"]).await;
        b.remembers(&key).await;
        a.change(vec![replace(mapping("a", "t", &["read"]))], &author()).await.unwrap();
        b.soon_grants(&key, Some(&["read"])).await;
        b.remembers(&key).await;
        a.change(vec![delete("a", "t")], &author()).await.unwrap();
        b.soon_grants(&key, None).await;
    }
}

#[tokio::test]
async fn a_deletion_counts_within_a_second_when_the_feed_is_cut() {
    let database = Database::shared().await;
    let (a, b) = (database.replica().await, database.replica().await);
    let key = key("a", "t");
    for _ in 0..10 {
        grant(&a, &["read"]).await;
        b.remembers(&key).await;
        let author = author();
        let (cut, deleted) = tokio::join!(
            database.postgres.terminate_listeners(&database.url),
            a.change(vec![delete("a", "t")], &author)
        );
        cut.unwrap();
        deleted.unwrap();
        b.soon_grants(&key, None).await;
    }
}

#[tokio::test]
async fn a_deletion_counts_within_a_second_when_the_feed_is_frozen() {
    let database = Database::shared().await;
    let a = database.replica().await;
    let mut settings = database.settings();
    settings.application_name = "b".into();
    let b = Replica::start(settings);
    ready(&b).await;
    let key = key("a", "t");
    for _ in 0..3 {
        grant(&a, &["read"]).await;
        b.remembers(&key).await;
        let frozen = database.postgres.freeze(&database.url, "b feed").await.unwrap();
        assert_eq!(frozen.processes().len(), 1);
        a.change(vec![delete("a", "t")], &author()).await.unwrap();
        b.soon_grants(&key, None).await;
        frozen.thaw().unwrap();
    }
    // A feed that stays frozen is replaced, and things are remembered again.
    let frozen = database.postgres.freeze(&database.url, "b feed").await.unwrap();
    grant(&a, &["read"]).await;
    let asks = async || b.look_up(&key).await.freshness == Freshness::Current;
    wait_for(asks, BOUND).await.unwrap();
    b.remembers(&key).await;
    frozen.thaw().unwrap();
}

#[tokio::test]
async fn what_people_change_by_hand_counts_within_a_second() {
    let database = Database::shared().await;
    let replica = database.replica().await;
    let (a, b) = (key("a", "t"), key("b", "t"));
    for (statement, left) in [
        ("UPDATE resource_mappings SET scopes = '{read}' WHERE client_identifier = 'a'", Some(&["read"][..])),
        ("UPDATE resource_mappings SET participant_context = 'u' WHERE client_identifier = 'a'", None),
        ("DELETE FROM resource_mappings WHERE client_identifier = 'a'", None),
        ("UPDATE resource_mappings SET scopes = '{write}'", Some(&["write"])),
        ("TRUNCATE resource_mappings", None),
    ] {
        grant(&replica, &["read", "write"]).await;
        let others = (0..200).map(|n| create("other", &n.to_string())).collect();
        let cleared = Change::DeleteClient(client("other"));
        replica
            .change([vec![cleared, delete("b", "t"), create("b", "t")], others].concat(), &author())
            .await
            .unwrap();
        replica.remembers(&a).await;
        replica.remembers(&b).await;
        database.execute(statement).await;
        replica.soon_grants(&a, left).await;
    }
}

#[tokio::test]
async fn a_scope_mapping_that_is_changed_by_hand_or_elsewhere_counts_within_a_second() {
    let database = Database::shared().await;
    let (a, b) = (database.replica().await, database.replica().await);
    let key = key("a", "t");
    grant(&a, &["read"]).await;
    let role = async || {
        let policy = b.policy(&key, &scopes(&["read"]), Freshness::Recent).await.unwrap().policy.unwrap();
        policy.scope(&scope("read")).map(|mapping| mapping.claims()["role"].clone())
    };
    a.change(vec![Change::CreateScope(scope_mapping("read", json!({"role": 1})))], &author()).await.unwrap();
    assert_eq!(role().await, Some(json!(1)));

    b.remembers(&key).await;
    let replaced = Change::ReplaceScope(scope_mapping("read", json!({"role": 1e16})), Precondition::None);
    a.change(vec![replaced], &author()).await.unwrap();
    wait_for(async || role().await == Some(json!(1e16)), BOUND).await.unwrap();

    b.remembers(&key).await;
    database.execute(r#"UPDATE scope_mappings SET claims = '{"role": 3}'"#).await;
    wait_for(async || role().await == Some(json!(3)), BOUND).await.unwrap();

    b.remembers(&key).await;
    database.execute("DELETE FROM scope_mappings").await;
    wait_for(async || role().await.is_none(), BOUND).await.unwrap();
}
