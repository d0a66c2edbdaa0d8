//! Owner and labels of single records.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn owner_and_labels_are_written_shown_filtered_and_taken_away() {
    let world = World::start().await;
    let notes = ["--owner", "team-a", "--label", "app=billing", "--label", "example.com/tier=gold"];
    world.ok(&[&["mapping", "create", CONNECTOR, "acme"][..], &notes].concat()).await;
    world.ok(&["mapping", "create", CONNECTOR, "globex"]).await;
    assert_snapshot!(world.ok(&["mapping", "list"]).await, @"
    exit 0
    CLIENT                                CONTEXT  OWNER   LABELS                             VERSION
    system:serviceaccount:demo:connector  acme     team-a  app=billing example.com/tier=gold  1
    system:serviceaccount:demo:connector  globex                                              1
    ");
    let contexts = async |filters: &[&str]| {
        let list = world.ok(&[&["mapping", "list", "-o", "json"], filters].concat()).await.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|mapping| mapping["participantContext"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(contexts(&["--owner", "team-a"]).await, ["acme"]);
    assert_eq!(contexts(&["--label", "app=billing", "--label", "example.com/tier"]).await, ["acme"]);
    assert!(contexts(&["--label", "app=other"]).await.is_empty());

    let update = ["mapping", "update", CONNECTOR, "acme"];
    let change = ["--owner", "team-b", "--label", "app=", "--remove-label", "example.com/tier"];
    world.ok(&[&update[..], &change].concat()).await;
    let now = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", "json"]).await.json();
    assert_eq!((&now["owner"], &now["labels"]), (&json!("team-b"), &json!({"app": ""})));
    world.ok(&[&update[..], &["--no-owner", "--remove-label", "app"]].concat()).await;
    let now = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", "json"]).await.json();
    assert_eq!((now.get("owner"), now.get("labels")), (None, None));
}

#[tokio::test]
async fn scope_mappings_have_them_too_and_keep_their_claims() {
    let world = World::start().await;
    world
        .ok(&["scope", "create", "read", "--claims", "{\"a\": 1}", "--owner", "team-a", "--label", "app=x"])
        .await;
    assert_snapshot!(world.ok(&["scope", "list", "--owner", "team-a", "--label", "app"]).await, @r#"
    exit 0
    SCOPE  CLAIMS   OWNER   LABELS  VERSION
    read   {"a":1}  team-a  app=x   1
    "#);
    world.ok(&["scope", "update", "read", "--no-owner", "--label", "app=y"]).await;
    let now = world.ok(&["scope", "get", "read", "-o", "json"]).await.json();
    assert_eq!(
        (&now["claims"], &now["labels"], now.get("owner")),
        (&json!({"a": 1}), &json!({"app": "y"}), None)
    );
    assert_eq!(world.ok(&["scope", "list", "--owner", "team-a", "-o", "json"]).await.json(), json!([]));
    world.jwtlet(&["scope", "update", "read"]).run().await.assert_fails(2, "no option says what to change");
}

#[tokio::test]
async fn notes_that_break_their_rule_are_refused_before_anything_is_sent() {
    for notes in [["--label", "app"], ["--label", "-=x"], ["--label", "a=b c"], ["--owner", ""]] {
        let ran = crate::world::jwtlet(&[&["mapping", "create", "a", "b"][..], &notes].concat()).run().await;
        assert_eq!((ran.status, &*ran.out), (2, ""), "{ran}");
    }
    let ran = crate::world::jwtlet(&["scope", "list", "--label", "a/b/c"]).run().await;
    assert_eq!(ran.status, 2, "{ran}");
}
