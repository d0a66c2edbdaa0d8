//! `jwtlet policy`: the policy as documents.

use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::world::{CONNECTOR, Ran, World};

/// A mapping and a scope mapping of `team-a`.
const DOCUMENTS: &str = "\
kind: ScopeMapping
scope: read
owner: team-a
claims: {role: reader}
---
kind: ResourceMapping
clientIdentifier: system:serviceaccount:demo:connector
participantContext: acme
owner: team-a
labels: {app: billing}
scopes: [read, write]
";

impl World {
    /// `jwtlet policy` with documents from standard input.
    async fn policy(&self, arguments: &[&str], documents: &str) -> Ran {
        self.jwtlet(&[&["policy"], arguments, &["-f", "-"]].concat()).input(documents).run().await
    }

    async fn applied(&self, documents: &str) -> Ran {
        let ran = self.policy(&["apply"], documents).await;
        assert_eq!(ran.status, 0, "{ran}");
        ran
    }

    async fn numbers_of_changes(&self) -> usize {
        self.ok(&["audit", "list", "--all", "-o", "json"]).await.json().as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_diff_shows_what_an_apply_then_does_and_the_exit_status_tells_whether_there_is_something() {
    let world = World::start().await;
    let diff = world.policy(&["diff"], DOCUMENTS).await;
    assert_snapshot!(world.fixed(&diff), @r#"
    exit 1
    + create mapping of system:serviceaccount:demo:connector for acme  (standard input:6:1)
        + labels: app=billing
        + owner: team-a
        + scopes: read write
    + create scope mapping of read  (standard input:1:1)
        + claims: {"role":"reader"}
        + owner: team-a

    plan: 2 to create, 0 to change, 0 to delete; 0 are as the documents say
    digest of the plan: [id]
    "#);
    assert_eq!(world.numbers_of_changes().await, 0);
    assert_snapshot!(world.fixed(&world.applied(DOCUMENTS).await), @r#"
    exit 0
    + create mapping of system:serviceaccount:demo:connector for acme  (standard input:6:1)
        + labels: app=billing
        + owner: team-a
        + scopes: read write
    + create scope mapping of read  (standard input:1:1)
        + claims: {"role":"reader"}
        + owner: team-a

    applied: 2 created, 0 changed, 0 deleted; 0 were as the documents say
    apply id: [id]
    "#);
    assert_snapshot!(world.policy(&["diff"], DOCUMENTS).await, @"
    exit 0
    nothing to do: 2 records are as the documents say
    ");
    assert_snapshot!(world.applied(DOCUMENTS).await, @"
    exit 0
    nothing to do: 2 records are as the documents say
    ");
    assert_eq!(world.numbers_of_changes().await, 2);
}

#[tokio::test]
async fn changes_are_told_field_by_field() {
    let world = World::start().await;
    world.applied(DOCUMENTS).await;
    let changed = DOCUMENTS
        .replace("{role: reader}", "{role: writer, level: 7}")
        .replace("{app: billing}", "{tier: gold}\ndescription: \"two\\nlines\"")
        .replace("[read, write]", "[read, admin]\naudiences: [a]");
    let diff = world.policy(&["diff"], &changed).await;
    assert_snapshot!(world.fixed(&diff), @r#"
    exit 1
    ~ change mapping of system:serviceaccount:demo:connector for acme  (standard input:6:1)
        + audiences: a
        + description: two\nlines
        - labels.app: "billing"
        + labels.tier: "gold"
        - scopes: write
        + scopes: admin
    ~ change scope mapping of read  (standard input:1:1)
        + claims.level: 7
        ~ claims.role: "reader" -> "writer"

    plan: 0 to create, 2 to change, 0 to delete; 0 are as the documents say
    digest of the plan: [id]
    "#);
    let plan = world.policy(&["diff", "-o", "json"], &changed).await;
    assert_eq!((plan.status, &plan.json()["summary"]["change"]), (1, &json!(2)));
    let plan = world.policy(&["apply", "--dry-run", "-o", "yaml"], &changed).await;
    assert!(plan.status == 0 && plan.out.contains("dryRun: true\n"), "{plan}");
    assert_eq!(world.numbers_of_changes().await, 2);
}

#[tokio::test]
async fn pruning_deletes_what_the_owner_has_besides_and_nothing_of_others() {
    let world = World::start().await;
    world.applied(DOCUMENTS).await;
    world.ok(&["mapping", "create", CONNECTOR, "of-an-agent"]).await;
    world.ok(&["mapping", "create", CONNECTOR, "of-team-b", "--owner", "team-b"]).await;
    let less = DOCUMENTS.split("---").next().unwrap();
    let ran = world.policy(&["apply"], less).await;
    assert_eq!(ran.out, "nothing to do: 1 records are as the documents say\n");
    let ran = world.policy(&["apply", "--prune"], less).await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 0
    - delete mapping of system:serviceaccount:demo:connector for acme
        - labels: app=billing
        - owner: team-a
        - scopes: read write

    applied: 0 created, 0 changed, 1 deleted; 1 were as the documents say
    apply id: [id]
    ");
    let left = world.ok(&["mapping", "list", "-o", "json"]).await.json();
    let contexts: Vec<&Value> =
        left.as_array().unwrap().iter().map(|mapping| &mapping["participantContext"]).collect();
    assert_eq!(contexts, ["of-an-agent", "of-team-b"]);
}

#[tokio::test]
async fn pruning_needs_one_owner_that_all_documents_carry() {
    let world = World::start().await;
    let two = DOCUMENTS.replacen("owner: team-a", "owner: team-b", 1);
    assert_snapshot!(world.policy(&["apply", "--prune"], &two).await, @"
    exit 2
    error: --prune needs documents that all carry one owner, whose other records it deletes; nothing was changed
      standard input:9:1: document 2 (mapping of system:serviceaccount:demo:connector for acme): owner: is team-a, and team-b at standard input:3:1
    help: write the same owner into each document, or leave --prune out
    ");
    let none = DOCUMENTS.replacen("owner: team-a\n", "", 1);
    assert_snapshot!(world.policy(&["diff", "--prune"], &none).await, @"
    exit 2
    error: --prune needs documents that all carry one owner, whose other records it deletes; nothing was changed
      standard input:1:1: document 1 (scope mapping of read): owner: is missing
    help: write the same owner into each document, or leave --prune out
    ");
    assert_eq!(world.policy(&["apply"], &two).await.status, 0);
}

#[tokio::test]
async fn records_of_others_are_named_with_the_document_and_can_be_taken_over() {
    let world = World::start().await;
    world.ok(&["scope", "create", "read", "--claims", "{}", "--owner", "team-b"]).await;
    assert_snapshot!(world.policy(&["apply"], DOCUMENTS).await, @"
    exit 35
    error: records belong to others than the documents say; nothing was changed
      standard input:3:1: document 1 (scope mapping of read): owner: must be team-b, who owns the stored record, and not team-a; takeOver takes the record over
    help: write the owner of the record into the document, or take the records over with --take-over
    ");
    assert_eq!(world.ok(&["mapping", "list", "-o", "json"]).await.json(), json!([]));
    let ran = world.policy(&["apply", "--take-over"], DOCUMENTS).await;
    assert!(ran.status == 0 && ran.out.contains("    ~ owner: \"team-b\" -> \"team-a\"\n"), "{ran}");
}

#[tokio::test]
async fn a_plan_that_was_seen_is_applied_as_it_was_or_not_at_all() {
    let world = World::start().await;
    let plan = world.policy(&["diff", "-o", "json"], DOCUMENTS).await.json();
    let digest = plan["planDigest"].as_str().unwrap();
    world.ok(&["scope", "create", "read", "--claims", "{\"by\": \"somebody\"}", "--owner", "team-a"]).await;
    let apply = ["apply", "--plan-digest", digest, "--apply-id", "release-7"];
    assert_snapshot!(world.policy(&apply, DOCUMENTS).await, @"
    exit 33
    error: the policy was changed since it was planned: planDigest is not that of the plan any more: the policy has changed; nothing was applied
    help: look at the new plan with `jwtlet policy diff` and apply that one; nothing was changed
    ");
    world.ok(&["scope", "delete", "read"]).await;
    // Others' changes that the plan does not touch do no harm.
    world.ok(&["scope", "create", "other", "--claims", "{}"]).await;
    let ran = world.policy(&apply, DOCUMENTS).await;
    assert!(ran.status == 0 && ran.out.ends_with("\napply id: release-7\n"), "{ran}");
    let trail = world.ok(&["audit", "list", "--apply-id", "release-7", "-o", "json"]).await.json();
    assert_eq!(trail.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_export_can_be_applied_again() {
    let world = World::start().await;
    world.applied(DOCUMENTS).await;
    let odd =
        json!({"yes": "no", "n": 7, "f": 0.5, "text": "a: b\n# c", "null": null, "list": [1, "1", true]});
    world.ok(&["scope", "create", "odd", "--claims", &odd.to_string()]).await;
    let export = world.ok(&["policy", "export", "--owner", "team-a", "--schema", "policy.schema.json"]).await;
    assert_snapshot!(export, @"
    exit 0
    # yaml-language-server: $schema=policy.schema.json
    kind: ScopeMapping
    scope: read
    owner: team-a
    claims:
      role: reader
    ---
    # yaml-language-server: $schema=policy.schema.json
    kind: ResourceMapping
    clientIdentifier: system:serviceaccount:demo:connector
    participantContext: acme
    owner: team-a
    labels:
      app: billing
    scopes:
    - read
    - write
    audiences: []
    ");
    let everything = world.ok(&["policy", "export"]).await.out;
    let ran = world.applied(&everything).await;
    assert_eq!(ran.out, "nothing to do: 3 records are as the documents say\n");
    let labelled = world.ok(&["policy", "export", "--label", "app=billing", "-o", "json"]).await.json();
    assert_eq!(labelled["resourceMappings"].as_array().unwrap().len(), 1);
    assert_eq!(labelled["scopeMappings"], json!([]));
}

#[tokio::test]
async fn reading_is_enough_for_a_diff_and_not_for_an_apply() {
    let world = World::start().await;
    let file = world.write("documents.yaml", DOCUMENTS);
    let file = file.to_str().unwrap();
    let diff = world.jwtlet_as("reader", &["policy", "diff", "-f", file]).run().await;
    assert_eq!(diff.status, 1, "{diff}");
    let apply = world.jwtlet_as("reader", &["policy", "apply", "-f", file]).run().await;
    apply.assert_fails(23, "the call is not permitted: system:serviceaccount:ops:reader needs the role ");
}

/// Runs the command on a terminal on which this is typed; what was to be seen there.
async fn on_a_terminal(world: &World, command: &str, typed: &str) -> (i32, String) {
    let token = world.write("token", &world.operator("admin").mint());
    let mut child = Command::new("script")
        .args(["-qec", &format!("{} {command}", env!("CARGO_BIN_EXE_jwtlet")), "/dev/null"])
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("TERM", "xterm"), ("JWTLET_SERVER", &world.management)])
        .env("JWTLET_TOKEN_FILE", token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn on_a_terminal_it_shows_the_plan_in_colours_and_asks() {
    let world = World::start().await;
    let file = world.write("documents.yaml", DOCUMENTS);
    let apply = format!("policy apply -f {}", file.display());
    let (status, seen) = on_a_terminal(&world, &apply, "n\n").await;
    assert_eq!(status, 1, "{seen}");
    assert!(seen.contains("\u{1b}[32m+ create scope mapping of read\u{1b}[0m"), "{seen}");
    assert!(seen.contains("apply these changes? [y/N]") && seen.contains("nothing was changed"), "{seen}");
    assert_eq!(world.numbers_of_changes().await, 0);
    let (status, seen) = on_a_terminal(&world, &apply, "y\n").await;
    assert!(status == 0 && seen.contains("applied: 2 created, 0 changed, 0 deleted"), "{seen}");
    assert_eq!(world.numbers_of_changes().await, 2);
    // Nothing to do is nothing to ask about.
    let (status, seen) = on_a_terminal(&world, &apply, "").await;
    assert!(status == 0 && !seen.contains("apply these changes?"), "{seen}");
}

#[tokio::test]
async fn on_a_terminal_a_bar_shows_how_far_it_is() {
    let world = World::start().await;
    let file = world.write("documents.yaml", DOCUMENTS);
    let (status, seen) =
        on_a_terminal(&world, &format!("policy apply --yes -f {}", file.display()), "").await;
    assert!(status == 0 && !seen.contains("apply these changes?"), "{seen}");
    assert!(seen.contains("reading files") && seen.contains("applying 2 documents"), "{seen}");
    let ran = world.policy(&["diff"], DOCUMENTS).await;
    assert_eq!(ran.err, "");
}
