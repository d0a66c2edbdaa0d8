//! What reaches the database, and how it finds its rows: read off the server's own log.

#![expect(clippy::large_futures, reason = "a test has room for them")]

use jwtlet_core::{
    PolicyStore, Scope,
    mapping::MappingKey,
    metadata::{LabelSelector, MetadataFilter},
    name::{LabelKey, LabelValue, Owner},
    store::{Freshness, MappingFilter, Page, ScopeFilter},
};

use crate::{
    fixture::{author, client, context, create, key, mapping, replace, scope, scopes},
    postgres::{Database, Replica},
};

/// What the server logs of a database while something is done.
async fn logged(database: &Database<'_>, done: impl Future<Output = ()>) -> String {
    let before = database.postgres.log().unwrap().len();
    done.await;
    database.postgres.log().unwrap().split_off(before)
}

#[tokio::test]
async fn a_warm_look_up_asks_nothing_and_a_cold_one_asks_once() {
    let database = Database::shared().await;
    database.postgres.log_statements(&database.url).await.unwrap();
    let replica = database.replica().await;
    replica.change(vec![create("a", "t"), create("b", "t")], &author()).await.unwrap();
    replica.remembers(&key("a", "t")).await;
    let name = database.url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let statements = async |done| {
        let log = logged(&database, done).await;
        // The probe of readiness goes on beside it, and a new connection sets its limits.
        let counts = |line: &&str| {
            line.starts_with(&format!("{name} [jwtlet] "))
                && line.contains("LOG:")
                && !line.contains("audit_head")
                && !line.contains("SET statement_timeout")
        };
        log.lines().filter(counts).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let warm = statements(Box::pin(async {
        for _ in 0..100 {
            assert_eq!(replica.look_up(&key("a", "t")).await.freshness, Freshness::Recent);
        }
    }) as std::pin::Pin<Box<dyn Future<Output = ()>>>);
    assert_eq!(warm.await, Vec::<String>::new());
    let cold = statements(Box::pin(async {
        assert_eq!(replica.look_up(&key("b", "t")).await.freshness, Freshness::Current);
    }));
    assert_eq!(cold.await.len(), 1);
    let absent = statements(Box::pin(async {
        assert!(replica.look_up(&key("none", "t")).await.policy.is_none());
    }));
    assert_eq!(absent.await.len(), 1);
    let changed = statements(Box::pin(async {
        let many = (0..1_000).map(|n| create("many", &n.to_string()));
        let changes = many.chain([replace(mapping("a", "t", &["read"]))]).collect();
        replica.change(changes, &author()).await.unwrap();
    }));
    // Begin, read, write and commit; taking turns and the trail are told apart by the audit head.
    let changed = changed.await;
    assert_eq!(changed.len(), 4, "{changed:#?}");
}

/// The plans of all reads and of a small change, on a database with so many mappings.
async fn plans(mappings: u32, by_rare_scope: &str) {
    let database = Database::shared().await;
    drop(database.replica().await);
    database.postgres.seed_mappings(&database.url, mappings).await.unwrap();
    database
        .execute(
            "INSERT INTO scope_mappings (scope, claims)
             SELECT 'api-' || n || ':read', jsonb_build_object('role', n) FROM generate_series(0, 9999) AS n;
             ANALYZE scope_mappings",
        )
        .await;
    database.postgres.log_plans(&database.url).await.unwrap();
    let replica = database.replica().await;
    let key = key("system:serviceaccount:seed:client-70123", "tenant-71");

    // Often enough for a plan that serves any value.
    let policy = logged(&database, async {
        for _ in 0..12 {
            let found = replica.policy(&key, &[], Freshness::Current).await.unwrap().policy.unwrap();
            assert_eq!(found.scopes().len(), 3);
        }
    });
    by_index(&policy.await, &["resource_mappings_pkey", "scope_mappings_pkey"]);

    let narrow = |filter: MappingFilter| listing(&replica, filter, Some(key.clone()));
    let page = logged(&database, narrow(MappingFilter::default()));
    by_index(&page.await, &["resource_mappings_by_key"]);
    let filter = MappingFilter {
        client_identifier: Some(client("system:serviceaccount:seed:client-9")),
        ..Default::default()
    };
    by_index(&logged(&database, listing(&replica, filter, None)).await, &["resource_mappings_by_key"]);
    let filter = MappingFilter { participant_context: Some(context("tenant-71")), ..Default::default() };
    by_index(&logged(&database, narrow(filter)).await, &["resource_mappings_by_context"]);
    // A scope that many have is soon found on the way through the keys, one that few have by itself. How many have a
    // scope that the planner has not seen, it guesses from those that it has.
    let filter = |name| MappingFilter { scope: Some(scope(name)), ..Default::default() };
    by_index(&logged(&database, narrow(filter("api-7:read"))).await, &["resource_mappings_by_key"]);
    by_index(&logged(&database, narrow(filter("rare"))).await, &[by_rare_scope]);

    let after: Page<Scope> = Page { after: Some(scopes(&["api-5:read"]).remove(0)), limit: 10 };
    let listed = logged(&database, async {
        let listed = replica.list_scopes(&ScopeFilter::default(), &after).await.unwrap();
        assert_eq!(listed.len(), 10);
    });
    by_index(&listed.await, &["scope_mappings_by_scope"]);

    let changed = logged(&database, async {
        replica
            .change(
                vec![create("new", "t"), replace(mapping(key.client_identifier.as_str(), "tenant-71", &[]))],
                &author(),
            )
            .await
            .unwrap();
    });
    by_index(&changed.await, &["resource_mappings_pkey"]);
}

/// Some of very many mappings have an owner and labels, which are found by them.
async fn plans_of_metadata(mappings: u32) {
    let database = Database::shared().await;
    drop(database.replica().await);
    database.postgres.seed_mappings(&database.url, mappings).await.unwrap();
    database
        .execute(
            r#"UPDATE resource_mappings SET owner = 'team-' || length(client_identifier) % 7,
                labels = '{"app": "billing", "stage": "test"}' WHERE client_identifier LIKE '%99';
            UPDATE resource_mappings SET owner = 'rare', labels = '{"app": "rare", "rare": ""}'
                WHERE client_identifier LIKE '%client-7012'"#,
        )
        .await;
    database.execute("VACUUM (ANALYZE) resource_mappings").await;
    database.postgres.log_plans(&database.url).await.unwrap();
    let replica = database.replica().await;
    let label = |key: &str, value: Option<&str>| LabelSelector {
        key: LabelKey::parse(key).unwrap(),
        value: value.map(|value| LabelValue::parse(value).unwrap()),
    };
    let owner = |name| Some(Owner::parse(name).unwrap());
    let all = || Page::first(50);
    for (metadata, count, index) in [
        (MetadataFilter { owner: owner("rare"), labels: vec![] }, 1, "resource_mappings_by_owner"),
        (MetadataFilter { owner: owner("none"), labels: vec![] }, 0, "resource_mappings_by_owner"),
        (
            MetadataFilter { owner: None, labels: vec![label("app", Some("rare"))] },
            1,
            "resource_mappings_by_label",
        ),
        (MetadataFilter { owner: None, labels: vec![label("rare", None)] }, 1, "resource_mappings_by_label"),
    ] {
        let filter = MappingFilter { metadata, ..Default::default() };
        let log = logged(&database, async {
            assert_eq!(replica.list_mappings(&filter, &all()).await.unwrap().len(), count);
        });
        by_index(&log.await, &[index]);
    }
}

#[tokio::test]
async fn with_a_hundred_thousand_mappings_owners_and_labels_are_found_by_index() {
    plans_of_metadata(100_000).await;
}

#[tokio::test]
#[ignore = "takes a minute and half a gigabyte"]
async fn with_a_million_mappings_owners_and_labels_are_found_by_index() {
    plans_of_metadata(1_000_000).await;
}

async fn listing(replica: &Replica, filter: MappingFilter, after: Option<MappingKey>) {
    replica.list_mappings(&filter, &Page { after, limit: 50 }).await.unwrap();
}

fn by_index(plans: &str, indexes: &[&str]) {
    for index in indexes {
        assert!(plans.contains(index), "{index} is not used:\n{plans}");
    }
    for table in ["resource_mappings", "scope_mappings"] {
        assert!(!plans.contains(&format!("Seq Scan on {table}")), "{table} is read as a whole:\n{plans}");
    }
}

#[tokio::test]
async fn with_a_hundred_thousand_mappings_rows_are_found_by_index() {
    plans(100_000, "resource_mappings_by_scope").await;
}

#[tokio::test]
#[ignore = "takes a minute and half a gigabyte"]
async fn with_a_million_mappings_rows_are_found_by_index() {
    plans(1_000_000, "resource_mappings_by_key").await;
}
