//! Documents with mistakes: each is told with its place.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use crate::world::{Ran, Run, World};

impl World {
    /// `jwtlet policy apply` of a folder with these files.
    fn apply_files(&self, files: &[(&str, &str)]) -> Run {
        let folder = self.files.path().join("policy");
        let _ = fs::remove_dir_all(&folder);
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.jwtlet(&["policy", "apply", "-f", folder.to_str().unwrap()])
    }

    async fn applying(&self, files: &[(&str, &str)]) -> Ran {
        self.apply_files(files).run().await
    }

    async fn has_no_policy(&self) -> bool {
        self.ok(&["policy", "export", "-o", "json"]).await.json()
            == json!({"resourceMappings": [], "scopeMappings": []})
    }
}

const GOOD: &str = "kind: ScopeMapping\nscope: read\nclaims: {}\n";

#[tokio::test]
async fn files_of_a_folder_and_those_below_it_are_read() {
    let world = World::start().await;
    let ran = world
        .applying(&[
            ("a.yaml", GOOD),
            ("b/c.yml", "# nothing but a comment\n---\n{\"kind\": \"ScopeMapping\", \"scope\": \"b\", \"claims\": {}}\n---\n"),
            ("notes.txt", "not: [a document"),
            (".hidden.yaml", "not: [a document"),
        ])
        .await;
    assert!(ran.out.contains("applied: 2 created"), "{ran}");
    let file = world.files.path().join("policy/a.yaml");
    let twice = ["policy", "diff", "-f", file.to_str().unwrap(), "-f", file.to_str().unwrap()];
    assert_eq!(world.ok(&twice).await.out, "nothing to do: 1 records are as the documents say\n");
}

#[tokio::test]
async fn what_is_not_yaml_or_no_document_is_named_in_all_files_at_once() {
    let world = World::start().await;
    let ran = world
        .applying(&[
            ("a.yaml", "kind: ScopeMapping\nscope: [read\n"),
            ("b.yaml", "kind: ScopeMapping\nscope: a\nscope: b\n"),
            ("c.yaml", "scope: a\n---\nkind: Scope\n---\n- 1\n"),
            ("d.yaml", GOOD),
            ("e.yaml", "kind: ScopeMapping\n\tscope: a\n"),
        ])
        .await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 50
    error: the files cannot be used as documents; nothing was changed
      [files]/policy/a.yaml:2:8: not YAML: unclosed bracket '['
      [files]/policy/b.yaml:3:1: not YAML: duplicate mapping key `scope` is not allowed here
      [files]/policy/c.yaml:1:1: document 1: kind: is missing: ResourceMapping or ScopeMapping
      [files]/policy/c.yaml:3:7: document 2: kind: must be ResourceMapping or ScopeMapping
      [files]/policy/c.yaml:5:1: document 3: must be an object with a kind: ResourceMapping or ScopeMapping
      [files]/policy/e.yaml:1:7: not YAML: while scanning a plain scalar, found a tab
    help: mend the files; `jwtlet policy schema` prints the schema that editors check them with
    ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn a_mistake_in_one_of_many_documents_names_it() {
    let world = World::start().await;
    let ran = world
        .applying(&[
            ("a.yaml", &format!("# comment\n---\n{GOOD}---\n# nothing\n---\nkind: [\n---\n{GOOD}")),
            ("b.yaml", &format!("{GOOD}---\nkind: ScopeMapping\nscope: a\nscope: b\n")),
        ])
        .await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 50
    error: the files cannot be used as documents; nothing was changed
      [files]/policy/a.yaml:9:7: document 2: not YAML: unclosed bracket '['
      [files]/policy/b.yaml:7:1: document 2: not YAML: duplicate mapping key `scope` is not allowed here
    help: mend the files; `jwtlet policy schema` prints the schema that editors check them with
    ");
}

#[tokio::test]
async fn files_that_are_not_utf8_are_named_with_the_mistakes_of_others() {
    let world = World::start().await;
    let run = world.apply_files(&[("a.yaml", "kind: ["), ("c.yaml", "kind: Scope\n")]);
    fs::write(world.files.path().join("policy/b.yaml"), b"# caf\xc3\xa9\nscope: caf\xe9\n").unwrap();
    assert_snapshot!(world.fixed(&run.run().await), @"
    exit 50
    error: the files cannot be used as documents; nothing was changed
      [files]/policy/a.yaml:1:7: not YAML: unclosed bracket '['
      [files]/policy/b.yaml:2:11: not UTF-8: save the file in that encoding
      [files]/policy/c.yaml:1:7: document 1: kind: must be ResourceMapping or ScopeMapping
    help: mend the files; `jwtlet policy schema` prints the schema that editors check them with
    ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn numbers_that_could_be_read_in_two_ways_are_refused() {
    let world = World::start().await;
    let text = "kind: ScopeMapping\nscope: a\nclaims:\n  level: 007\n  more: [1, -08, 0, 0.5, '09']\n";
    let ran = world.applying(&[("a.yaml", text), ("b.yaml", &GOOD.replace("{}", "{x: 010}"))]).await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 50
    error: the files cannot be used as documents; nothing was changed
      [files]/policy/a.yaml:4:3: document 1 (scope mapping of a): claims.level: a number must not begin with 0: write 7, or '007' in quotes
      [files]/policy/a.yaml:5:13: document 1 (scope mapping of a): claims.more[1]: a number must not begin with 0: write -8, or '-08' in quotes
      [files]/policy/b.yaml:3:10: document 1 (scope mapping of read): claims.x: a number must not begin with 0: write 10, or '010' in quotes
    help: mend the files; `jwtlet policy schema` prints the schema that editors check them with
    ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn two_documents_of_one_record_are_named_with_both_places() {
    let world = World::start().await;
    let ran = world.applying(&[("a.yaml", &format!("{GOOD}---\n{GOOD}")), ("b/c.yaml", GOOD)]).await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 51
    error: documents are of the same record; nothing was changed
      [files]/policy/a.yaml:5:1: document 2 (scope mapping of read): there is a document of the same record at [files]/policy/a.yaml:1:1
      [files]/policy/b/c.yaml:1:1: document 1 (scope mapping of read): there is a document of the same record at [files]/policy/a.yaml:1:1
    help: keep one document of each record
    ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn what_the_server_refuses_is_named_with_line_and_field() {
    let world = World::start().await;
    let mappings = "kind: ResourceMapping
clientIdentifier: system:serviceaccount:demo:connector
participantContext: acme
scopes:
  - read
  - two words
---
kind: ResourceMapping
clientIdentifier: a
participantContext: 7
scopes: []
---
kind: ResourceMapping
clientIdentifier: b
participantContext: acme
labels:
  example.com/tier: gold
  app: \"-\"
scopes: []
";
    let scopes =
        "kind: ScopeMapping\nscope: read\nclaims:\n  iss: me\n---\nkind: ScopeMapping\nscope: write\n";
    let ran = world
        .applying(&[
            ("mappings.yaml", mappings),
            ("scopes.yaml", scopes),
            ("good.yaml", GOOD.replace("read", "x").as_str()),
        ])
        .await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 30
    error: documents are wrong; nothing was changed
      [files]/policy/mappings.yaml:6:5: document 1 (mapping of system:serviceaccount:demo:connector for acme): scopes[1]: must be printable ASCII without space, double quote and backslash
      [files]/policy/mappings.yaml:10:1: document 2 (mapping of a): participantContext: invalid type: integer `7`, expected a string
      [files]/policy/mappings.yaml:18:3: document 3 (mapping of b for acme): labels.app: must be empty, or at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit
      [files]/policy/scopes.yaml:3:1: document 1 (scope mapping of read): claims: must not define the reserved claim iss
      [files]/policy/scopes.yaml:6:1: document 2 (scope mapping of write): claims: missing field `claims`
    help: mend the lines that are named; `jwtlet policy schema` prints the schema that editors check them with
    ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn unknown_fields_are_named_with_their_line_and_have_an_exit_status_of_their_own() {
    let world = World::start().await;
    let ran =
        world.applying(&[("a.yaml", "kind: ScopeMapping\nscope: read\nclaims: {}\ncolour: red\n")]).await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 52
    error: documents are wrong; nothing was changed
      [files]/policy/a.yaml:4:1: document 1 (scope mapping of read): colour: unknown field `colour`, expected one of `scope`, `claims`, `owner`, `labels`, `createdAt`, `updatedAt`, `version`
    help: mend the lines that are named; `jwtlet policy schema` prints the schema that editors check them with
    ");
    let create = world.jwtlet(&["scope", "create", "-f", "-"]).input("scope: a\nclaims: {}\ncolour: red\n");
    create.run().await.assert_fails(52, "the server refuses the request: 400, ");
    assert!(world.has_no_policy().await);
}

#[tokio::test]
async fn files_without_documents_are_no_policy() {
    let world = World::start().await;
    world.applying(&[("a.yaml", "# nothing\n")]).await.assert_fails(2, "there is no document in the files");
    let ran = world.applying(&[("a.txt", GOOD)]).await;
    let folder = world.files.path().join("policy");
    ran.assert_fails(2, &format!("{} has no file that ends in .yaml or .yml", folder.display()));
    let ran = world.jwtlet(&["policy", "apply", "-f", "/nonexistent.yaml"]).run().await;
    ran.assert_fails(2, "cannot read /nonexistent.yaml: ");
}

#[tokio::test]
async fn a_token_in_a_file_is_not_repeated() {
    let world = World::start().await;
    let token = world.subject().mint();
    let text = format!("kind: ScopeMapping\nscope: {token}\nclaims: {{}}\n");
    let ran = world.apply_files(&[("a.yaml", &text)]).run().await;
    assert_ne!(ran.status, 0);
    assert!(!ran.to_string().contains(&token), "{ran}");
}
