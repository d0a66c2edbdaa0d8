//! `jwtlet mapping`.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn mappings_are_created_listed_and_shown() {
    let world = World::start().await;
    let ran = world
        .ok(&[
            "mapping",
            "create",
            CONNECTOR,
            "acme",
            "--scope",
            "read",
            "--scope",
            "write",
            "--audience",
            "a",
            "--expires-at",
            "2099-01-31T09:30:00Z",
            "--description",
            "for\nAcme",
        ])
        .await;
    assert_eq!(ran.out, format!("created the mapping of {CONNECTOR} for acme\n"));
    world.ok(&["mapping", "create", CONNECTOR, "a/b"]).await;
    assert_snapshot!(world.ok(&["mapping", "list"]).await, @r"
    exit 0
    CLIENT                                CONTEXT  SCOPES      AUDIENCES  EXPIRES               DESCRIPTION  VERSION
    system:serviceaccount:demo:connector  a/b                                                                1
    system:serviceaccount:demo:connector  acme     read write  a          2099-01-31T09:30:00Z  for\nAcme    1
    ");
    assert_snapshot!(world.fixed(&world.ok(&["mapping", "get", CONNECTOR, "acme"]).await), @r#"
    exit 0
    clientIdentifier  system:serviceaccount:demo:connector
    participantContext  acme
    audiences  a
    createdAt  [time]
    description  for\nAcme
    expiresAt  [time]
    scopes  read write
    updatedAt  [time]
    version  1
    etag  "[tag]"
    "#);
    let record = world.ok(&["mapping", "get", CONNECTOR, "a/b", "-o", "json"]).await.json();
    assert_eq!((&record["participantContext"], &record["scopes"]), (&json!("a/b"), &json!([])));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::start().await;
    for context in ["a", "b", "c"] {
        world.ok(&["mapping", "create", CONNECTOR, context, "--scope", context]).await;
    }
    world.ok(&["mapping", "create", "other", "a"]).await;
    let contexts = async |arguments: &[&str]| {
        let list = world.ok(&[&["mapping", "list", "-o", "json"], arguments].concat()).await.json();
        list.as_array().unwrap().iter().map(|record| record["participantContext"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(contexts(&[]).await, ["a", "a", "b", "c"]);
    assert_eq!(contexts(&["--context", "a"]).await, ["a", "a"]);
    assert_eq!(contexts(&["--scope", "b"]).await, ["b"]);
    assert_eq!(contexts(&["--client", "other"]).await, ["a"]);

    let first = world.ok(&["mapping", "list", "--limit", "3"]).await;
    assert_eq!(first.out.lines().count(), 4);
    let cursor = first.err.trim().strip_prefix("there is more: --cursor ").unwrap();
    let second = world.ok(&["mapping", "list", "--limit", "3", "--cursor", cursor]).await;
    assert_eq!((second.out.lines().count(), &*second.err), (2, ""));
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_change() {
    let world = World::start().await;
    world.ok(&["mapping", "create", CONNECTOR, "acme", "--scope", "read", "--description", "d"]).await;
    let updated = world
        .ok(&["mapping", "update", CONNECTOR, "acme", "--add-scope", "write", "--add-audience", "a"])
        .await;
    assert_eq!(updated.out, format!("updated the mapping of {CONNECTOR} for acme\n"));
    world
        .ok(&[
            "mapping",
            "update",
            CONNECTOR,
            "acme",
            "--remove-scope",
            "read",
            "--expires-at",
            "2099-01-01T00:00:00Z",
        ])
        .await;
    let record = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", "json"]).await.json();
    assert_eq!((&record["scopes"], &record["audiences"]), (&json!(["write"]), &json!(["a"])));
    assert_eq!((&record["description"], &record["version"]), (&json!("d"), &json!(3)));
    world.ok(&["mapping", "update", CONNECTOR, "acme", "--no-expiry", "--remove-audience", "a"]).await;
    let record = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", "json"]).await.json();
    assert_eq!((record.get("expiresAt"), &record["audiences"]), (None, &json!([])));
}

#[tokio::test]
async fn an_update_of_another_state_changes_nothing() {
    let world = World::start().await.with_policy().await;
    let update = ["mapping", "update", CONNECTOR, "acme", "--scope", "x", "--if-match", "\"other\""];
    let ran = world.jwtlet(&update).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 33
    error: the record was changed since it was read: a mapping of system:serviceaccount:demo:connector for acme is not in the state that If-Match names
    help: read it again and decide anew; nothing was changed
    ");
    let delete = ["mapping", "delete", CONNECTOR, "acme", "--if-match", "\"other\""];
    world.jwtlet(&delete).run().await.assert_fails(33, "the record was changed since it was read: ");
    let ran = world.jwtlet(&["mapping", "update", CONNECTOR, "acme"]).run().await;
    ran.assert_fails(2, "no option says what to change");
}

#[tokio::test]
async fn who_may_only_write_says_that_any_state_will_do() {
    let world = World::start().await;
    let create = ["mapping", "create", CONNECTOR, "acme"];
    assert_eq!(world.jwtlet_as("mapper", &create).run().await.status, 0);
    let update = ["mapping", "update", CONNECTOR, "acme", "--scope", "x"];
    world.jwtlet_as("mapper", &update).run().await.assert_fails(
        23,
        "the call is not permitted: system:serviceaccount:ops:mapper needs the role jwtlet:management:read",
    );
    let file = world.write("m.json", &crate::world::mapping("acme").to_string());
    let update = ["mapping", "update", "-f", file.to_str().unwrap(), "--if-match", "*"];
    assert_eq!(world.jwtlet_as("mapper", &update).run().await.status, 0);
}

#[tokio::test]
async fn mappings_are_deleted_one_by_one_or_all_of_a_client() {
    let world = World::start().await;
    for context in ["a", "b", "c"] {
        world.ok(&["mapping", "create", CONNECTOR, context]).await;
    }
    let ran = world.ok(&["mapping", "delete", CONNECTOR, "a"]).await;
    assert_eq!(ran.out, format!("the mapping of {CONNECTOR} for a is gone\n"));
    let ran = world.ok(&["mapping", "delete", CONNECTOR, "--all"]).await;
    assert_eq!(ran.out, format!("no mapping of {CONNECTOR} is left\n"));
    assert_eq!(world.ok(&["mapping", "list", "-o", "json"]).await.json(), json!([]));
    assert_eq!(world.jwtlet(&["mapping", "delete", CONNECTOR]).run().await.status, 2);
}

#[tokio::test]
async fn records_that_exist_or_do_not_say_so() {
    let world = World::start().await.with_policy().await;
    let ran = world.jwtlet(&["mapping", "create", CONNECTOR, "acme"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 32
    error: a mapping of system:serviceaccount:demo:connector for acme exists already or is given twice; nothing was created
    help: the update command changes it
    ");
    let ran = world.jwtlet(&["mapping", "get", CONNECTOR, "globex"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 31
    error: there is not a mapping of system:serviceaccount:demo:connector for globex
    help: the list command shows what there is
    ");
    let ran = world.jwtlet(&["mapping", "update", CONNECTOR, "globex", "--scope", "x"]).run().await;
    assert_eq!(ran.status, 31);
}
