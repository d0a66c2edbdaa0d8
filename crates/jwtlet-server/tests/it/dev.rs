//! The development mode as a person meets it: what it prints works when pasted.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use jwtlet_testkit::wait_until;
use serde_json::Value;

use crate::{harness::PATIENCE, program::Program};

/// A development mode that stays up, with its story told.
async fn stay() -> Program {
    let program = Program::start(Program::command().arg("dev"));
    program.wait_for_out("Ctrl-C stops.").await;
    program
}

/// The command in the story that starts with this: up to the line that does not go on.
fn command(program: &Program, start: &str) -> String {
    let out = program.out();
    let start = format!("\n{start}");
    assert!(out.contains(&start), "{start} is not in {out}");
    let from = out.find(&start).unwrap() + 1;
    let mut command = String::new();
    for line in out[from..].lines() {
        command.push_str(line);
        command.push('\n');
        if !line.ends_with('\\') {
            break;
        }
    }
    command
}

/// Pastes a command into a shell; what it prints.
fn paste(command: &str) -> String {
    let output = Command::new("bash").args(["-c", command]).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{command}\n{out}{err}");
    out
}

fn json(text: &str) -> Value {
    let json = serde_json::from_str(text);
    assert!(json.is_ok(), "{text}");
    json.unwrap()
}

/// The printed exchange, with another subject token in it.
fn exchange_of(program: &Program, subject_token: &str) -> Value {
    let exchange = command(program, "curl -s http");
    let shown = exchange.split("subject_token=").nth(1).unwrap().split('\'').next().unwrap();
    json(&paste(&exchange.replace(shown, subject_token)))
}

fn directory_of(program: &Program) -> PathBuf {
    let out = program.out();
    let file = out.lines().find_map(|line| line.strip_prefix("configuration   ")).unwrap();
    Path::new(file).parent().unwrap().to_owned()
}

#[tokio::test]
async fn once_tells_the_story_of_one_exchange_and_ends_well() {
    let mut program = Program::start(Program::command().args(["dev", "--once"]));
    assert_eq!(program.ended().await, 0, "{}", program.err());
    let out = program.out();
    for part in [
        "DEVELOPMENT MODE: NOT FOR PRODUCTION",
        "curl -s http://127.0.0.1:",
        "--data-urlencode 'grant_type=urn:ietf:params:oauth:grant-type:token-exchange'",
        "--data-urlencode 'resource=acme'",
        "\"token_type\": \"Bearer\"",
        "\"alg\": \"EdDSA\"",
        "\"kid\": \"signing-jwtlet_pc-1\"",
        "\"sub\": \"acme\"",
        "\"jwtlet_pc\": \"acme\"",
        "\"aud\": \"data-space\"",
        "\"sub\": \"system:serviceaccount:demo:connector\"",
        "\"scope\": \"management-api:assets:read identity-api:credentials:read management-api:assets:write\"",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    assert!(!directory_of(&program).exists(), "the files are still there");
    assert_eq!(program.err(), "");
}

#[tokio::test]
async fn the_printed_request_yields_a_token_when_pasted() {
    let program = stay().await;
    let answer = json(&paste(&command(&program, "curl -s http")));
    assert_eq!(answer["access_token"].as_str().unwrap().split('.').count(), 3, "{answer}");
    assert_eq!(answer["scope"], "read management-api:assets:write");
}

#[tokio::test]
async fn the_printed_token_request_yields_another_subject_token() {
    let program = stay().await;
    let answer = json(&paste(&command(&program, "curl -s --cacert")));
    let subject_token = answer["status"]["token"].as_str().unwrap();
    assert_eq!(exchange_of(&program, subject_token)["token_type"], "Bearer");
    assert_eq!(exchange_of(&program, "a.b.c")["error"], "invalid_request");
}

#[tokio::test]
async fn the_printed_look_at_the_policy_shows_it() {
    let program = stay().await;
    let out = program.out();
    let management = out.lines().find_map(|line| line.strip_prefix("management API  ")).unwrap();
    let mappings = json(&paste(&command(&program, &format!("curl -s {management}"))));
    let contexts: Vec<&str> = mappings
        .as_array()
        .unwrap()
        .iter()
        .map(|mapping| mapping["participantContext"].as_str().unwrap())
        .collect();
    assert_eq!(contexts, ["acme", "acme", "globex"]);
}

#[tokio::test]
async fn kubectl_creates_a_subject_token() {
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        println!("kubectl is not installed: the same API is tested with curl");
        return;
    }
    let program = stay().await;
    let kubectl = command(&program, "kubectl ");
    assert!(kubectl.contains(" create token connector -n demo --audience=jwtlet-exchange"), "{kubectl}");
    let subject_token = paste(&kubectl);
    assert_eq!(exchange_of(&program, subject_token.trim())["token_type"], "Bearer");
}

#[tokio::test]
async fn what_it_writes_is_for_the_user_alone_and_goes_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut program = stay().await;
    let directory = directory_of(&program);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    program.signal("INT");
    assert_eq!(program.ended().await, 0, "{}", program.err());
    wait_until(|| !directory.exists(), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--token-exchange-port", "--management-port"] {
        let mut program = Program::start(Program::command().args(["dev", "--once", option, &port]));
        assert_eq!(program.ended().await, 1, "{}", program.out());
        assert!(program.err().contains(&format!("cannot listen on 127.0.0.1:{port}")), "{}", program.err());
    }
}
