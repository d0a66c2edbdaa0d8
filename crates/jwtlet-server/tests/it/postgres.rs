//! Two processes over one PostgreSQL: what one of them writes, the other knows.

use std::time::{Duration, Instant};

use jwtlet_testkit::{Postgres, wait_for};
use reqwest::Method;
use serde_json::json;
use sqlx::Connection;

use crate::{
    crash::nothing_acknowledged_is_lost,
    fleet::{Replica, postgres},
    harness::{CONNECTOR, PATIENCE},
    management::mapping,
    program::Neighbours,
};

/// Two ready processes over an empty database of this server; they end when the neighbours do.
async fn two(server: &Postgres) -> (Neighbours, String, Replica, Replica) {
    let neighbours = Neighbours::start().await;
    let database = server.database().await.unwrap();
    let storage = postgres(&database);
    // At the same time: both find an empty database and bring its schema up to date.
    let (a, b) = tokio::join!(Replica::start(&neighbours, &storage), Replica::start(&neighbours, &storage));
    (neighbours, database, a, b)
}

async fn map(replica: &Replica, context: &str) {
    let answer = replica.call(Method::POST, "/mappings", Some(&mapping(CONNECTOR, context))).await;
    assert_eq!(answer.status, 201, "{answer}");
}

async fn unmap(replica: &Replica, context: &str) {
    let answer = replica.call(Method::DELETE, &format!("/mappings/{CONNECTOR}/{context}"), None).await;
    assert_eq!(answer.status, 204, "{answer}");
}

/// How long this process goes on to grant what is deleted.
async fn until_refused(replica: &Replica, context: &str) -> Duration {
    let deleted = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = replica.exchange(context).await;
        match answer.status {
            403 => return asked - deleted,
            status => assert!(status == 200 && asked - deleted < PATIENCE, "{context}: {answer}"),
        }
    }
}

#[tokio::test]
async fn what_one_process_created_the_other_grants_at_once() {
    let server = Postgres::shared().await.unwrap();
    let (_neighbours, _, a, b) = two(server).await;
    for round in 0..1_000 {
        let context = format!("context-{round}");
        map(&a, &context).await;
        let answer = b.exchange(&context).await;
        assert_eq!(answer.status, 200, "round {round}: {answer}");
    }
}

#[tokio::test]
async fn what_one_process_deleted_the_other_refuses_within_a_second() {
    let server = Postgres::start().await.unwrap();
    let (_neighbours, database, a, b) = two(&server).await;
    for round in 0..20 {
        let context = format!("context-{round}");
        map(&a, &context).await;
        for _ in 0..3 {
            assert_eq!(b.exchange(&context).await.status, 200);
        }
        if round % 2 == 1 {
            server.terminate_listeners(&database).await.unwrap();
        }
        unmap(&a, &context).await;
        let lag = until_refused(&b, &context).await;
        assert!(lag < Duration::from_secs(1), "round {round}: {lag:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_stopped_is_an_outage_that_ends_by_itself() {
    let server = Postgres::start().await.unwrap();
    let (_neighbours, _, a, b) = two(&server).await;
    map(&a, "acme").await;
    assert_eq!(b.exchange("acme").await.status, 200);
    server.stop();
    for replica in [&a, &b] {
        replica.wait_until_not_ready().await;
        let readiness = replica.readiness().await;
        assert!(readiness.body.starts_with("the policy store: not ready: "), "{readiness}");
        let exchange = replica.exchange("acme").await;
        assert_eq!((exchange.status, exchange.header("retry-after")), (503, Some("1")), "{exchange}");
        assert_eq!(exchange.json()["error"], "temporarily_unavailable");
        let write = replica.call(Method::POST, "/scopes", Some(&json!({"scope": "a", "claims": {}}))).await;
        assert_eq!((write.status, write.header("retry-after")), (503, Some("1")), "{write}");
    }
    server.restart().await.unwrap();
    for replica in [&a, &b] {
        replica.wait_until_ready().await;
        assert_eq!(replica.exchange("acme").await.status, 200);
    }
    unmap(&b, "acme").await;
    wait_for(async || a.exchange("acme").await.status == 403, PATIENCE).await.unwrap();
    let verdict = a.call(Method::GET, "/audit/verify", None).await.json();
    assert_eq!((&verdict["intact"], &verdict["records"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn a_process_starts_without_its_database_and_waits_for_it() {
    let server = Postgres::start().await.unwrap();
    let neighbours = Neighbours::start().await;
    let storage = postgres(&server.database().await.unwrap());
    server.stop();
    let start = Replica::start(&neighbours, &storage);
    let (replica, restarted) = tokio::join!(start, server.restart());
    restarted.unwrap();
    map(&replica, "acme").await;
    assert_eq!(replica.exchange("acme").await.status, 200);
    assert!(!replica.program.err().contains(server.password()), "{}", replica.program.err());
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_postgresql_acknowledged() {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    nothing_acknowledged_is_lost(postgres(&database)).await;
}

/// The rights of docs/operations.md for a role that cannot alter the trail.
const RIGHTS: &str = "
    CREATE ROLE worker LOGIN PASSWORD 'worker';
    GRANT USAGE ON SCHEMA public TO worker;
    GRANT SELECT, INSERT, UPDATE, DELETE ON resource_mappings, scope_mappings TO worker;
    GRANT SELECT, INSERT ON audit_log TO worker;
    GRANT SELECT, UPDATE ON audit_head TO worker;
    GRANT SELECT ON jwtlet_migrations TO worker;";

#[tokio::test]
async fn a_role_that_does_not_own_the_schema_does_its_work_and_cannot_alter_the_trail() {
    let server = Postgres::start().await.unwrap();
    let neighbours = Neighbours::start().await;
    let owner = server.database().await.unwrap();
    drop(Replica::start(&neighbours, &postgres(&owner)).await);
    sqlx::raw_sql(RIGHTS).execute(&mut server.admin(&owner).await.unwrap()).await.unwrap();
    let url = owner.replace(&format!("jwtlet:{}@", server.password()), "worker:worker@");
    let mut storage = postgres(&url);
    storage.insert("JWTLET__STORAGE_BACKEND__POOL__RUN_MIGRATIONS_ON_STARTUP", "false".into());
    let replica = Replica::start(&neighbours, &storage).await;
    map(&replica, "acme").await;
    assert_eq!(replica.exchange("acme").await.status, 200);
    unmap(&replica, "acme").await;
    let missing =
        replica.call(Method::PUT, "/scopes/none", Some(&json!({"scope": "none", "claims": {}}))).await;
    assert_eq!(missing.status, 404);
    let verdict = replica.call(Method::GET, "/audit/verify", None).await.json();
    assert_eq!((&verdict["intact"], &verdict["records"]), (&json!(true), &json!(3)));
    let mut worker = sqlx::PgConnection::connect(&url).await.unwrap();
    for sql in [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DROP TRIGGER jwtlet_append_only ON audit_log",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&mut worker).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{refused}");
    }
}
