//! A large policy on PostgreSQL.

use std::fmt::Write;

use jwtlet_testkit::Postgres;

use crate::world::World;

const COUNT: usize = 10_000;

fn documents() -> String {
    let mut text = String::new();
    for i in 0..COUNT {
        write!(
            text,
            "---\nkind: ResourceMapping\nclientIdentifier: system:serviceaccount:tenants:agent-{}\n\
             participantContext: tenant-{}\nowner: platform\nlabels: {{wave: w{}}}\n\
             scopes: [read, management-api:assets:read, management-api:assets:write]\naudiences: [data-space]\n",
            i % 100,
            i / 100,
            i % 7,
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn ten_thousand_mappings_are_one_call_and_one_transaction() {
    let postgres = Postgres::shared().await.unwrap();
    let url = postgres.database().await.unwrap();
    let world = World::start_on(&url).await;
    let file = world.write("mappings.yaml", &documents());
    let apply = ["policy", "apply", "-f", file.to_str().unwrap(), "-v", "--apply-id", "big"];
    let ran = world.jwtlet(&apply).run().await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("applied: 10000 created, 0 changed, 0 deleted"));
    let calls: Vec<&str> = ran.err.lines().collect();
    assert!(
        calls.len() == 1 && calls[0].starts_with("POST ") && calls[0].contains("/policy/apply: 200 "),
        "{calls:?}"
    );

    let mut admin = postgres.admin(&url).await.unwrap();
    // The transaction that wrote a row is in its system column.
    let written: (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT xmin::text) FROM resource_mappings")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(written, (10_000, 1));
    let ran = world.ok(&["policy", "diff", "-f", file.to_str().unwrap()]).await;
    assert_eq!(ran.out, "nothing to do: 10000 records are as the documents say\n");
}
