//! The throw-away PostgreSQL server, asked with SQL.

use std::time::Duration;

use jwtlet_testkit::{Postgres, wait_for, wait_until};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

async fn one(url: &str) -> Result<i32, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query_scalar("SELECT 1").fetch_one(&mut connection).await
}

#[tokio::test]
async fn each_database_is_empty_and_belongs_to_a_role_that_is_no_superuser() {
    let postgres = Postgres::shared().await.unwrap();
    let (a, b) = (postgres.database().await.unwrap(), postgres.database().await.unwrap());
    assert_ne!(a, b);
    let mut connection = PgConnection::connect(&a).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (i INT)").execute(&mut connection).await.unwrap();
    let facts: (String, bool, bool) = sqlx::query_as(
        "SELECT current_user::text, rolsuper, 'a' < 'B' FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(facts, ("jwtlet".into(), false, true));
    let mut other = PgConnection::connect(&b).await.unwrap();
    assert!(sqlx::raw_sql("SELECT FROM t").execute(&mut other).await.is_err());
}

#[tokio::test]
async fn a_server_comes_back_on_its_port_with_what_it_held() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.database().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t AS SELECT 1 AS i").execute(&mut connection).await.unwrap();
    postgres.stop();
    assert!(one(&url).await.is_err());
    postgres.restart().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let i: i32 = sqlx::query_scalar("SELECT i FROM t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(i, 1);
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.database().await.unwrap();
    postgres.pause().unwrap();
    assert!(timeout(Duration::from_millis(200), one(&url)).await.is_err());
    postgres.resume().unwrap();
    assert_eq!(one(&url).await.unwrap(), 1);
}

#[tokio::test]
async fn backends_are_cut_and_frozen_by_database_and_name() {
    let postgres = Postgres::shared().await.unwrap();
    let (url, other) = (postgres.database().await.unwrap(), postgres.database().await.unwrap());
    let mut named = PgConnection::connect(&format!("{url}&application_name=a%20feed")).await.unwrap();
    let mut plain = PgConnection::connect(&url).await.unwrap();
    let mut elsewhere = PgConnection::connect(&format!("{other}&application_name=a%20feed")).await.unwrap();

    let frozen = postgres.freeze(&url, "% feed").await.unwrap();
    assert_eq!(frozen.processes().len(), 1);
    assert!(timeout(Duration::from_millis(200), named.ping()).await.is_err());
    frozen.thaw().unwrap();
    plain.ping().await.unwrap();

    postgres.terminate_listeners(&url).await.unwrap();
    let cut = async || named.ping().await.is_err();
    wait_for(cut, Duration::from_secs(5)).await.unwrap();
    plain.ping().await.unwrap();
    postgres.terminate_backends(&url).await.unwrap();
    let cut = async || plain.ping().await.is_err();
    wait_for(cut, Duration::from_secs(5)).await.unwrap();
    elsewhere.ping().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_a_process_nor_a_file() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.database().await.unwrap();
    let mut admin = postgres.admin(&url).await.unwrap();
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut admin).await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut admin).await.unwrap();
    let directory = std::path::Path::new(&data).parent().unwrap().to_owned();
    postgres.pause().unwrap();
    drop(postgres);
    assert!(!directory.exists());
    let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
    wait_until(gone, Duration::from_secs(5)).await.unwrap();
    assert!(one(&url).await.is_err());
}
