//! Records in files.

use serde_json::json;

use crate::world::{CONNECTOR, World, mapping};

#[tokio::test]
async fn all_records_of_a_file_are_created_or_none() {
    let world = World::start().await;
    let file = world.write("m.json", &json!([mapping("a"), mapping("b")]).to_string());
    let create = ["mapping", "create", "-f", file.to_str().unwrap()];
    let ran = world.ok(&create).await;
    assert_eq!(
        ran.out,
        format!("created the mapping of {CONNECTOR} for a\ncreated the mapping of {CONNECTOR} for b\n")
    );
    world.write("m.json", &json!([mapping("c"), mapping("a")]).to_string());
    world.jwtlet(&create).run().await.assert_fails(32, "");
    assert_eq!(world.ok(&["mapping", "list", "-o", "json"]).await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn yaml_is_read_as_it_was_written() {
    let world = World::start().await;
    let yaml = "scope: read\nclaims:\n  role: reader\n  level: 7\n  yes: 'no'\n  list: [1, x]\n";
    let ran = world.jwtlet(&["scope", "create", "-f", "-"]).input(yaml).run().await;
    assert_eq!(ran.status, 0, "{ran}");
    let ran = world.ok(&["scope", "get", "read", "-o", "yaml"]).await;
    let claims = "claims:\n  level: 7\n  list:\n  - 1\n  - x\n  role: reader\n  \"yes\": \"no\"\n";
    assert!(ran.out.starts_with(claims), "{ran}");
}

#[tokio::test]
async fn what_get_prints_can_be_edited_and_sent_back_once() {
    let world = World::start().await.with_policy().await;
    for format in ["json", "yaml"] {
        let record = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", format]).await.out;
        let file = world.write("record", &record.replace("write", format));
        let update = ["mapping", "update", "-f", file.to_str().unwrap()];
        world.ok(&update).await;
        let now = world.ok(&["mapping", "get", CONNECTOR, "acme", "-o", "json"]).await.json();
        assert_eq!(now["scopes"], json!(["read", format]));
        // Somebody else's change is not overwritten.
        let late = world.jwtlet(&update).run().await;
        late.assert_fails(33, "the record was changed since it was read: its updatedAt is ");
        world
            .ok(&["mapping", "update", CONNECTOR, "acme", "--add-scope", "write", "--remove-scope", format])
            .await;
    }
}

#[tokio::test]
async fn a_file_that_does_not_say_which_state_it_replaces_is_refused() {
    let world = World::start().await.with_policy().await;
    let file = world.write("m.json", &mapping("acme").to_string());
    let ran = world.jwtlet(&["mapping", "update", "-f", file.to_str().unwrap()]).run().await;
    ran.assert_fails(2, "the file does not say which state it replaces");
    let tagged = ["mapping", "update", "-f", file.to_str().unwrap(), "--if-match", "*"];
    world.ok(&tagged).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_say_where() {
    let world = World::start().await;
    for (text, error) in [
        ("{\"a\": 1", "[file] is not JSON: EOF while parsing an object at line 1 column 7"),
        ("{\"a\": 1, \"a\": 2}", "[file] is not JSON: member `a` appears twice"),
        ("a: [1", "[file] is not YAML: "),
        ("a: 1\na: 2\n", "[file] is not YAML: "),
        ("\u{0}", "[file] is not YAML: "),
        ("a: 1\n---\nb: 1\n", "[file] has more than one document"),
        ("a: 1\nb: [007]\n", "[file]:2:5: b[0]: a number must not begin with 0: write 7, or '007' in quotes"),
        ("[{}]", "each record must name its clientIdentifier and participantContext"),
        ("", "each record must name"),
    ] {
        let file = world.write("m", text);
        let file = file.to_str().unwrap();
        let ran = world.jwtlet(&["mapping", "create", "-f", file]).run().await;
        ran.assert_fails(if error.starts_with("[file]") { 50 } else { 2 }, &error.replace("[file]", file));
    }
    let file = world.files.path().join("m");
    std::fs::write(&file, b"scope: caf\xe9\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = world.jwtlet(&["scope", "create", "-f", file]).run().await;
    ran.assert_fails(50, &format!("{file} is not UTF-8 at line 1 column 11"));
    let ran = world.jwtlet(&["mapping", "create", "-f", "/nonexistent"]).run().await;
    ran.assert_fails(2, "cannot read /nonexistent: ");
}

#[tokio::test]
async fn what_the_server_refuses_names_field_and_rule() {
    let world = World::start().await;
    let mut record = mapping("acme");
    record["colour"] = json!("red");
    let ran = world.jwtlet(&["mapping", "create", "-f", "-"]).input(&record.to_string()).run().await;
    ran.assert_fails(52, "the server refuses the request: 400, ");
    assert!(ran.err.contains("colour"), "{ran}");
    let claims = r#"{"sub": "me"}"#;
    let ran = world.jwtlet(&["scope", "create", "read", "--claims", claims]).run().await;
    ran.assert_fails(30, "the server refuses the request: 400, ");
}
