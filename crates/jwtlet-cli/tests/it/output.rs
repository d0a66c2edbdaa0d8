//! How results come out.

use std::process::Stdio;

use insta::assert_snapshot;
use tokio::process::Command;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn yaml_is_what_the_api_answers() {
    let world = World::start().await.with_policy().await;
    let ran = world.ok(&["mapping", "list", "-o", "yaml"]).await;
    assert_snapshot!(world.fixed(&ran), @r#"
    exit 0
    - audiences: []
      clientIdentifier: system:serviceaccount:demo:connector
      createdAt: "[time]"
      participantContext: acme
      scopes:
      - read
      - write
      updatedAt: "[time]"
      version: 1
    "#);
}

#[tokio::test]
async fn verbose_says_which_requests_are_made_and_no_token() {
    let world = World::start().await.with_policy().await;
    let token = world.operator("admin").mint();
    let ran =
        world.with_token(&token, &["mapping", "update", CONNECTOR, "acme", "--scope", "x", "-v"]).run().await;
    let shown = world.fixed(&ran);
    let timeless: Vec<String> = shown
        .lines()
        .map(|line| match line.split_once(" in ") {
            Some((before, after)) => format!("{before} in [n] ms{}", after.split_once(" ms").unwrap().1),
            None => line.to_owned(),
        })
        .collect();
    assert_snapshot!(timeless.join("\n"), @"
    exit 0
    updated the mapping of system:serviceaccount:demo:connector for acme
    GET [management]/api/v1/mappings/system:serviceaccount:demo:connector/acme: 200 in [n] ms (request [id])
    PUT [management]/api/v1/mappings/system:serviceaccount:demo:connector/acme: 204 in [n] ms (request [id])
    ");
    let subject = world.subject().mint();
    let ran = world.with_token(&subject, &["exchange", "acme", "--decode", "-v"]).run().await;
    assert!(!ran.to_string().contains(&token) && !ran.to_string().contains(&subject));
    assert!(!ran.to_string().contains(subject.split('.').next().unwrap()), "{ran}");
}

#[tokio::test]
async fn a_reader_who_has_seen_enough_is_no_failure() {
    let world = World::start().await;
    let file = world.write("token", &world.operator("admin").mint());
    let records: Vec<_> = (0..2_000).map(|i| crate::world::mapping(&format!("context-{i}"))).collect();
    let records = world.write("records", &serde_json::to_string(&records).unwrap());
    world.ok(&["mapping", "create", "-f", records.to_str().unwrap(), "-o", "json"]).await;
    let jwtlet = env!("CARGO_BIN_EXE_jwtlet");
    for command in [
        "mapping list",
        "mapping list -o json",
        "policy export",
        "policy schema",
        "--help",
        "completions bash",
        "man",
    ] {
        // `true` closes the pipe without reading.
        let script = format!("{{ {jwtlet} {command}; echo \"exit $?\" >&2; }} | true");
        let output = Command::new("sh")
            .arg("-c")
            .arg(script)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("JWTLET_SERVER", &world.management)
            .env("JWTLET_TOKEN_FILE", &file)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "exit 0\n", "{command}");
    }
}

#[tokio::test]
async fn a_full_disk_is_a_failure() {
    let world = World::start().await.with_policy().await;
    let file = world.write("token", &world.operator("admin").mint());
    let script = format!("{} scope list > /dev/full", env!("CARGO_BIN_EXE_jwtlet"));
    let output = Command::new("sh")
        .arg("-c")
        .arg(script)
        .env_clear()
        .env("JWTLET_SERVER", &world.management)
        .env("JWTLET_TOKEN_FILE", &file)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(40));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: cannot write to standard output: No space left"), "{error}");
}

#[tokio::test]
async fn colours_are_for_terminals_of_users_who_want_them() {
    let world = World::start().await;
    let file = world.write("token", &world.operator("admin").mint());
    let on_a_terminal = async |command: &str, name: &str, value: &str| {
        // util-linux's `script` gives the command a terminal.
        let output = Command::new("script")
            .args(["-qec", &format!("{} {command}", env!("CARGO_BIN_EXE_jwtlet")), "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .env(name, value)
            .env("JWTLET_SERVER", &world.management)
            .env("JWTLET_TOKEN_FILE", &file)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!(on_a_terminal("lint", "NO_COLOR", "").await, "\u{1b}[32mnothing is odd\u{1b}[0m");
    assert_eq!(on_a_terminal("lint", "NO_COLOR", "1").await, "nothing is odd");
    assert_eq!(on_a_terminal("lint", "TERM", "dumb").await, "nothing is odd");
    world.ok(&["scope", "create", "read", "--claims", "{}"]).await;
    let table = on_a_terminal("scope list", "NO_COLOR", "").await;
    assert_eq!(
        table,
        "\u{1b}[1mSCOPE\u{1b}[0m  \u{1b}[1mCLAIMS\u{1b}[0m  \u{1b}[1mVERSION\u{1b}[0m\r\nread   {}      1"
    );
}

#[tokio::test]
async fn lists_are_whole_however_long_their_records_are() {
    let world = World::start().await;
    let scope = |i: usize| format!("{i:04}{}", "x".repeat(252));
    let scopes: Vec<String> = (0..1_000).map(scope).collect();
    let mut record = crate::world::mapping("");
    record["scopes"] = serde_json::json!(scopes);
    // Together more than the command reads of one answer.
    let records: Vec<_> = (0..20)
        .map(|i| {
            record["participantContext"] = format!("context-{i}").into();
            record.clone()
        })
        .collect();
    let file = world.write("records", &serde_json::to_string(&records).unwrap());
    world.ok(&["mapping", "create", "-f", file.to_str().unwrap(), "-o", "json"]).await;
    let list = world.ok(&["mapping", "list", "-o", "json"]).await.json();
    assert_eq!(list.as_array().unwrap().len(), 20);
    assert!(
        world
            .ok(&["audit", "verify"])
            .await
            .out
            .starts_with("intact: 20 records, followed by the server and here")
    );
}
