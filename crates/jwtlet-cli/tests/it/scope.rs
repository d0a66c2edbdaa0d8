//! `jwtlet scope`.

use insta::assert_snapshot;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn scope_mappings_are_created_listed_shown_changed_and_deleted() {
    let world = World::start().await;
    let ran = world.ok(&["scope", "create", "read", "--claims", r#"{"role": "reader", "n": [1]}"#]).await;
    assert_eq!(ran.out, "created the scope mapping of read\n");
    world.ok(&["scope", "create", "write", "--claims", "{}"]).await;
    assert_snapshot!(world.ok(&["scope", "list"]).await, @r#"
    exit 0
    SCOPE  CLAIMS                     VERSION
    read   {"n":[1],"role":"reader"}  1
    write  {}                         1
    "#);
    assert_snapshot!(world.fixed(&world.ok(&["scope", "get", "read"]).await), @r#"
    exit 0
    scope  read
    claims  {"n":[1],"role":"reader"}
    createdAt  [time]
    updatedAt  [time]
    version  1
    etag  "[tag]"
    "#);
    let ran = world.ok(&["scope", "update", "read", "--claims", r#"{"role": "admin"}"#]).await;
    assert_eq!(ran.out, "updated the scope mapping of read\n");
    let list = world.ok(&["scope", "list", "--scope", "read", "-o", "json"]).await.json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["claims"]), (1, &json!({"role": "admin"})));
    assert_eq!(world.ok(&["scope", "delete", "read"]).await.out, "the scope mapping of read is gone\n");
    world.jwtlet(&["scope", "get", "read"]).run().await.assert_fails(31, "there is not ");
}

#[tokio::test]
async fn programs_get_the_entity_tag_of_what_they_changed() {
    let world = World::start().await;
    let created = world.ok(&["scope", "create", "read", "--claims", "{}", "-o", "json"]).await.json();
    let tag = created["created"][0]["etag"].as_str().unwrap();
    let update = ["scope", "update", "read", "--claims", "{}", "-o", "json", "--if-match"];
    let updated = world.ok(&[&update[..], &[tag]].concat()).await.json();
    assert_ne!(updated["updated"]["etag"], json!(tag));
    world.jwtlet(&[&update[..], &[tag]].concat()).run().await.assert_fails(33, "the record was changed");
    let delete = world.jwtlet(&["scope", "delete", "read", "--if-match", tag]).run().await;
    assert_eq!(delete.status, 33);
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused_before_anything_is_sent() {
    for claims in ["[]", "x", "{\"a\": 1, \"a\": 2}"] {
        let ran = crate::world::jwtlet(&["scope", "create", "read", "--claims", claims]).run().await;
        assert_eq!(ran.status, 2, "{ran}");
        assert!(ran.err.contains("must be a JSON object"), "{ran}");
    }
}
