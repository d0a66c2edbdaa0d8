//! The corpus, without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

use std::{fs, path::Path};

fn run(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files: Vec<_> = fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        check(&fs::read(file).unwrap());
    }
}

#[test]
fn forms_keep_their_promises() {
    run("form", jwtlet_fuzz::form);
}

#[test]
fn subject_tokens_keep_their_promises() {
    run("subject_token", jwtlet_fuzz::subject_token);
}

#[test]
fn configurations_keep_their_promises() {
    run("configuration", jwtlet_fuzz::configuration);
}

#[test]
fn documents_keep_their_promises() {
    run("documents", jwtlet_fuzz::documents);
}

#[test]
fn policies_keep_their_promises() {
    run("policy", jwtlet_fuzz::policy);
}

#[test]
fn answers_of_kubernetes_keep_their_promises() {
    run("kubernetes", jwtlet_fuzz::kubernetes);
}

#[test]
fn answers_of_vault_keep_their_promises() {
    run("vault", jwtlet_fuzz::vault);
}
