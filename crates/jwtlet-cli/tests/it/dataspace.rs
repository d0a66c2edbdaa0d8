//! The example `examples/dataspace`, applied as it is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::world::{DATASPACE_ACCOUNTS, Ran, World};

const CONTEXTS: [&str; 3] = ["acme", "globex", "initech"];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dataspace").canonicalize().unwrap()
}

impl World {
    async fn apply(&self, folder: &Path) -> Ran {
        self.jwtlet(&["policy", "apply", "-f", folder.to_str().unwrap()]).run().await
    }

    async fn with_example(self) -> Self {
        let ran = self.apply(&example()).await;
        assert_eq!(ran.status, 0, "{ran}");
        self
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[tokio::test]
async fn applied_twice_the_second_says_nothing_to_do_and_a_wrong_document_changes_nothing() {
    let world = World::start().await;
    let first = world.apply(&example()).await;
    assert!(first.status == 0 && first.out.contains("applied: 76 created, 0 changed, 0 deleted"), "{first}");
    let second = world.apply(&example()).await;
    assert_eq!(second.to_string(), "exit 0\nnothing to do: 76 records are as the documents say\n");

    let wrong = world.files.path().join("wrong");
    copy(&example(), &wrong);
    let file = wrong.join("accounts/seed-job.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().position(|line| line == "  - admin").unwrap() + 1;
    // One document is wrong, and another one would be a change.
    fs::write(&file, text.replacen("  - admin\n", "  - ad min\n", 1)).unwrap();
    let tiers = wrong.join("scopes/tiers.yaml");
    fs::write(&tiers, fs::read_to_string(&tiers).unwrap().replace("[reader]", "[reader, auditor]")).unwrap();
    let before = world.ok(&["policy", "export"]).await.out;
    let third = world.apply(&wrong).await;
    third.assert_fails(30, "documents are wrong; nothing was changed");
    let told = format!(
        "{}:{line}:5: document 1 (mapping of system:serviceaccount:dataspace:seed-job for acme): scopes[0]: must be printable ASCII",
        file.display()
    );
    assert!(third.err.contains(&told), "{told} is not in {third}");
    assert_eq!(world.ok(&["policy", "export"]).await.out, before);
}

#[tokio::test]
async fn many_scopes_requested_together_give_one_claim_with_every_word_once() {
    let world = World::start().await.with_example().await;
    for account in DATASPACE_ACCOUNTS {
        let client = format!("system:serviceaccount:dataspace:{account}");
        for context in CONTEXTS {
            let mapping = world.ok(&["mapping", "get", &client, context, "-o", "json"]).await.json();
            let scopes: Vec<&str> =
                mapping["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
            let mut arguments = vec!["exchange", context, "--decode", "-o", "json"];
            for scope in &scopes {
                arguments.extend(["--scope", scope]);
            }
            let token = world.kubernetes.token("dataspace", account).audience("jwtlet-exchange").mint();
            let ran = world.with_token(&token, &arguments).run().await;
            assert_eq!(ran.status, 0, "{ran}");
            let claims = &ran.json()["claims"];
            let words: Vec<&str> = claims["scope"].as_str().unwrap().split(' ').collect();
            let different: BTreeSet<&str> = words.iter().copied().collect();
            assert_eq!(words.len(), different.len(), "{words:?}");
            let narrow = scopes.iter().filter(|scope| scope.contains(':'));
            for scope in narrow {
                assert!(different.contains(scope), "{scope} is not in {words:?}");
            }
            assert!(words.len() >= 10, "{words:?}");
            let roles: Vec<&Value> = claims["roles"].as_array().unwrap().iter().collect();
            assert_eq!(roles.len(), scopes.iter().filter(|scope| !scope.contains(':')).count());
        }
    }
}

#[tokio::test]
async fn lint_finds_nothing_worth_a_warning() {
    let world = World::start().await.with_example().await;
    let ran = world.jwtlet(&["lint", "--fail-on", "warning"]).run().await;
    assert_eq!(ran.status, 0, "{ran}");
    assert!(!ran.out.contains("unused-scope"), "{ran}");
}

#[tokio::test]
async fn it_is_what_it_says_it_is() {
    let world = World::start().await.with_example().await;
    let export = world.ok(&["policy", "export", "-o", "json"]).await.json();
    let names = |list: &str, member: &str| -> BTreeSet<String> {
        let records = export[list].as_array().unwrap();
        records.iter().map(|record| record[member].as_str().unwrap().to_owned()).collect()
    };
    let scopes = names("scopeMappings", "scope");
    assert!(scopes.iter().filter(|scope| scope.contains(':')).count() >= 58, "{scopes:?}");
    for scope in [
        "management-api:assets:read",
        "identity-api:*:write",
        "tenant-manager-api:read",
        "read",
        "write",
        "admin",
    ] {
        assert!(scopes.contains(scope), "{scope}");
    }
    assert_eq!(names("resourceMappings", "clientIdentifier").len(), 4);
    assert_eq!(names("resourceMappings", "participantContext"), CONTEXTS.map(str::to_owned).into());
}

#[tokio::test]
async fn editors_find_the_schema_and_it_fits() {
    let schema: Value =
        serde_json::from_str(&crate::world::jwtlet(&["policy", "schema"]).run().await.out).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let published = example().join("../../docs/policy.schema.json").canonicalize().unwrap();
    let mut count = 0;
    for folder in ["scopes", "accounts"] {
        for entry in fs::read_dir(example().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // Each document names it: editors look for it in the document that they check.
            for document in fs::read_to_string(&path).unwrap().split("---\n") {
                let line = document.lines().next().unwrap();
                let named = line.strip_prefix("# yaml-language-server: $schema=").unwrap();
                assert_eq!(path.parent().unwrap().join(named).canonicalize().unwrap(), published);
                let value: Value = serde_saphyr::from_str(document).unwrap();
                assert!(schema.is_valid(&value), "{}: {document}", path.display());
                count += 1;
            }
        }
    }
    assert_eq!(count, 76);
}
