//! `jwtlet audit`.

use insta::assert_snapshot;

use crate::{
    stand_in::StandIn,
    world::{CONNECTOR, World},
};

#[tokio::test]
async fn the_trail_tells_who_changed_what_or_tried_to() {
    let world = World::start().await.with_policy().await;
    world.ok(&["mapping", "update", CONNECTOR, "acme", "--add-scope", "x"]).await;
    let refused = world.jwtlet_as("reader", &["scope", "delete", "read"]).run().await;
    assert_eq!(refused.status, 23);
    assert_snapshot!(world.fixed(&world.ok(&["audit", "list"]).await), @"
    exit 0
    NUMBER  TIME  ACTOR  ACTION  RECORD  OUTCOME  CHANGE
    4  [time]  system:serviceaccount:ops:reader  scope.delete  read  refused  system:serviceaccount:ops:reader needs the role jwtlet:management:scope:write in [service_accounts]
    3  [time]  system:serviceaccount:ops:admin  mapping.update  system:serviceaccount:demo:connector acme  applied  scopes
    2  [time]  system:serviceaccount:ops:admin  scope.create  read  applied
    1  [time]  system:serviceaccount:ops:admin  mapping.create  system:serviceaccount:demo:connector acme  applied
    ");
}

#[tokio::test]
async fn the_trail_is_filtered_and_paged() {
    let world = World::start().await.with_policy().await;
    let numbers = async |arguments: &[&str]| {
        let list = world.ok(&[&["audit", "list", "-o", "json"], arguments].concat()).await;
        let records: serde_json::Value = serde_json::from_str(&list.out).unwrap();
        records
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["sequence"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&["--all"]).await, [2, 1]);
    assert_eq!(numbers(&["--limit", "1"]).await, [2]);
    assert_eq!(numbers(&["--action", "scope.create", "--outcome", "applied"]).await, [2]);
    assert_eq!(numbers(&["--client", CONNECTOR, "--context", "acme"]).await, [1]);
    assert_eq!(numbers(&["--from", "2099-01-01T00:00:00Z"]).await, Vec::<u64>::new());
    let ran = world.jwtlet(&["audit", "list", "--action", "x"]).run().await;
    ran.assert_fails(30, "the server refuses the request: 400, ");
}

#[tokio::test]
async fn the_chain_is_followed_by_the_server_and_here() {
    let world = World::start().await.with_policy().await;
    let ran = world.ok(&["audit", "verify"]).await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 0
    intact: 2 records, followed by the server and here
    head    --sequence 2 --hash [id]
    ");
    let noted: Vec<&str> =
        ran.out.lines().last().unwrap().split(' ').filter(|word| !word.is_empty()).skip(1).collect();
    world.ok(&["scope", "create", "more", "--claims", "{}"]).await;
    let ran = world.ok(&[&["audit", "verify"], &noted[..]].concat()).await;
    assert!(ran.out.starts_with("intact: 3 records"), "{ran}");
    let rewritten = ["audit", "verify", "--sequence", "1", "--hash", noted[3]];
    let ran = world.jwtlet(&rewritten).run().await;
    assert_eq!(ran.to_string(), "exit 1\nbroken: record 1 does not have the hash that was noted for it\n");
    let ran = world.ok(&["audit", "verify", "--no-recompute", "-o", "json"]).await.json();
    assert_eq!((&ran["intact"], ran.get("recomputed")), (&true.into(), None));
}

#[tokio::test]
async fn an_empty_trail_is_intact() {
    let world = World::start().await;
    assert!(
        world
            .ok(&["audit", "verify"])
            .await
            .out
            .starts_with("intact: 0 records, followed by the server and here\n")
    );
}

#[tokio::test]
async fn a_server_that_lists_other_records_than_it_verified_is_found_out() {
    let world = World::start().await.with_policy().await;
    let verdict = world.manage("/api/v1/audit/verify").await;
    let list = world.manage("/api/v1/audit").await;
    let first = list.find(",{\"sequence\":1,").unwrap();
    for (list, reason) in [
        (list.replace("\"reader\"", "\"owner\""), "record 2 as it is listed does not have its hash"),
        (list.replace("\"acme\"", "\"evil\""), "record 1 as it is listed does not have its hash"),
        (format!("{}]", &list[..first]), "record 1 is missing in the list"),
        ("[]".to_owned(), "record 2 is missing in the list"),
        ("[{}]".to_owned(), "a record before 2 is not readable here"),
    ] {
        let server = StandIn::start(&[("/api/v1/audit/verify", &verdict), ("/api/v1/audit", &list)]).await;
        let ran = world.jwtlet(&["audit", "verify"]).env("JWTLET_SERVER", server.url()).run().await;
        assert_eq!(ran.to_string(), format!("exit 1\nbroken: {reason}\n"));
    }
}
