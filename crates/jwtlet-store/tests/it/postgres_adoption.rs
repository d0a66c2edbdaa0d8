//! Databases that are there already, and schemas of other versions.

use jwtlet_core::{
    PolicyStore,
    health::Health,
    store::{Freshness, MappingFilter, Page},
};
use serde_json::json;

use crate::{
    fixture::{author, create, key, name, ready, scopes},
    postgres::{Database, Replica},
};

/// As they have always been, with rows that nobody should have written.
const EXISTING: &str = r#"
    SET ROLE jwtlet;
    CREATE TABLE resource_mappings (
        client_identifier TEXT NOT NULL, participant_context TEXT NOT NULL,
        scopes TEXT[] NOT NULL DEFAULT '{}', audiences TEXT[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (client_identifier, participant_context));
    CREATE INDEX idx_resource_mappings_client ON resource_mappings (client_identifier);
    CREATE TABLE scope_mappings (scope TEXT PRIMARY KEY, claims JSONB NOT NULL DEFAULT '{}');
    INSERT INTO resource_mappings VALUES
        ('system:serviceaccount:ns:a', 't', '{read,write}', '{aud,other}'),
        ('plain', 't', DEFAULT, DEFAULT),
        ('null-elements', 't', '{read,NULL}', '{NULL,aud}'),
        ('invalid-scope', 't', '{"a b",read}', '{}'),
        ('two-dimensions', 't', '{{a,b},{c,d}}', '{}'),
        ('other-first-index', 't', '[2:3]={a,b}', '{}'),
        ('no-readable-audience', 't', '{read}', '{NULL}'),
        ('', 't', '{read}', '{}');
    INSERT INTO scope_mappings VALUES
        ('read', '{"role": "reader", "iss": "https://evil.example", "n": 10000000000000000, "f": 1.50}'),
        ('write', '[]'), ('a b', '{"role": "x"}'), ('later', '{}');
"#;

#[tokio::test]
async fn an_existing_database_is_taken_over_with_its_rows() {
    let database = Database::shared().await;
    database.execute(EXISTING).await;
    let replica = database.replica().await;

    let listed = replica.list_mappings(&MappingFilter::default(), &Page::first(100)).await.unwrap();
    let lines: Vec<_> = listed
        .iter()
        .map(|stored| {
            let mapping = &stored.record;
            format!(
                "{} {:?} {:?} v{}",
                name(mapping.key()),
                mapping.scopes(),
                mapping.audiences(),
                stored.version
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            r#"invalid-scope/t ["read"] [] v1"#,
            r#"null-elements/t ["read"] ["aud"] v1"#,
            "other-first-index/t [] [] v1",
            "plain/t [] [] v1",
            r#"system:serviceaccount:ns:a/t ["read", "write"] ["aud", "other"] v1"#,
            "two-dimensions/t [] [] v1",
        ]
    );
    let key = key("system:serviceaccount:ns:a", "t");
    let lookup = replica.policy(&key, &scopes(&["read"]), Freshness::Current).await.unwrap();
    let policy = lookup.policy.unwrap();
    let claims: Vec<_> =
        policy.scopes().iter().map(|scope| json!({scope.scope().as_str(): scope.claims()})).collect();
    let read =
        json!({"role": "reader", "iss": "https://evil.example", "n": 10_000_000_000_000_000_u64, "f": 1.5});
    assert_eq!(claims, [json!({"read": read})]);

    replica.change(vec![create("new", "t")], &author()).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM resource_mappings").await, 9);
    assert_eq!(database.count("SELECT count(*) FROM scope_mappings").await, 4);
}

#[tokio::test]
async fn replicas_that_start_at_once_bring_the_schema_up_to_date_together() {
    let database = Database::shared().await;
    let replicas = [0; 4].map(|_| Replica::start(database.settings()));
    for replica in &replicas {
        ready(replica).await;
    }
    replicas[0].change(vec![create("a", "t")], &author()).await.unwrap();
    let again = database.replica().await;
    assert!(again.granted(&key("a", "t")).await.is_some());
    assert_eq!(database.count("SELECT count(*) FROM jwtlet_migrations").await, 4);
}

#[tokio::test]
async fn a_newer_schema_stops_who_starts_and_nobody_who_runs() {
    let database = Database::shared().await;
    let running = database.replica().await;
    running.change(vec![create("a", "t")], &author()).await.unwrap();
    running.granted(&key("a", "t")).await.unwrap();
    database
        .execute(
            "INSERT INTO jwtlet_migrations VALUES (999, 'newer', now(), true, '', 0);
             ALTER TABLE resource_mappings ADD COLUMN newer TEXT",
        )
        .await;

    let late = Replica::start(database.settings());
    assert_eq!(
        late.not_ready().await,
        "the schema of the database has version 999, and this jwtlet knows versions up to 4; deploy the newer jwtlet"
    );
    assert!(late.policy(&key("a", "t"), &[], Freshness::Current).await.is_err());
    running.change(vec![create("b", "t")], &author()).await.unwrap();
    let current = running.policy(&key("a", "t"), &[], Freshness::Current).await.unwrap();
    assert!(current.policy.is_some());
    assert_eq!(running.health(), Health::Ready);
}

#[tokio::test]
async fn without_migrations_an_older_schema_is_not_used_until_somebody_else_brings_it_up_to_date() {
    let database = Database::shared().await;
    let mut settings = database.settings();
    settings.run_migrations_on_startup = false;
    let waiting = Replica::start(settings);
    assert_eq!(
        waiting.not_ready().await,
        "the schema of the database has version 0, this jwtlet needs version 4, and run_migrations_on_startup is off"
    );
    assert_eq!(database.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
    database.replica().await;
    ready(&waiting).await;
}

#[tokio::test]
async fn a_schema_that_is_up_to_date_needs_no_right_to_change_it() {
    let database = Database::shared().await;
    drop(database.replica().await);
    // Only the owner of a table may change it, and only who may create tables may make one.
    let statements = "
        DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I OWNER TO postgres', current_database());
        END $$;
        REASSIGN OWNED BY jwtlet TO postgres;
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO jwtlet";
    database.execute(statements).await;
    let replica = database.replica().await;
    replica.change(vec![create("a", "t")], &author()).await.unwrap();
    assert!(replica.granted(&key("a", "t")).await.is_some());
}
