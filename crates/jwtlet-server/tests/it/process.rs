//! The process: how it starts, what it logs, how it stops.

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use jwtlet_testkit::wait_until;
use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    fleet::{client, exchange_request},
    harness::{Answer, CONNECTOR, EXCHANGE_AUDIENCE, Harness, MANAGEMENT_AUDIENCE, PATIENCE},
    program::{Neighbours, Program, address, ready},
};

/// A started process, waited for until it is ready, and its two URLs.
async fn start_ready(neighbours: &Neighbours, http: &Client) -> (Program, String, String) {
    let program = Program::start(Program::command().arg(neighbours.config(0, 0)));
    let (exchange, management) = (address(&program, "exchange").await, address(&program, "management").await);
    ready(http, &exchange).await;
    (program, exchange, management)
}

/// Lets `demo:connector` act for `acme`.
async fn map(neighbours: &Neighbours, http: &Client, management: &str) {
    let token = neighbours.kubernetes.token("ops", "admin").audience(MANAGEMENT_AUDIENCE).mint();
    let mapping = json!({"clientIdentifier": CONNECTOR, "participantContext": "acme", "scopes": []});
    let request = http.post(format!("{management}/api/v1/mappings")).bearer_auth(token).json(&mapping);
    assert_eq!(Answer::of(request).await.status, 201);
}

#[tokio::test]
async fn a_bad_configuration_ends_it_with_status_1_and_every_problem() {
    let neighbours = Neighbours::start().await;
    neighbours.write("bad.toml", "bind = 1\ncolour = \"red\"\n[vault]\nurl = \"x\"\n");
    let mut program = Program::start(Program::command().arg(neighbours.files.path().join("bad.toml")));
    assert_eq!((program.ended().await, program.out().as_str()), (1, ""));
    let message = program.err();
    assert!(message.starts_with("the configuration has 8 problems:\n"), "{message}");
    assert!(message.contains("bad.toml:4): must be an http or https URL"), "{message}");
}

#[tokio::test]
async fn without_a_configuration_it_says_what_is_missing() {
    let mut program = Program::start(&mut Program::command());
    assert_eq!(program.ended().await, 1);
    assert!(
        program
            .err()
            .contains("k8s.api_server_url: is missing; set it in the file or as JWTLET__K8S__API_SERVER_URL")
    );
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_with_status_1() {
    let neighbours = Neighbours::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (api, config) in [("exchange", neighbours.config(port, 0)), ("management", String::new())] {
        let config = if config.is_empty() { neighbours.config(0, port) } else { config };
        let mut program = Program::start(Program::command().arg(config));
        assert_eq!(program.ended().await, 1, "{}", program.err());
        let message = format!("cannot listen on 127.0.0.1:{port} for the {api} API: ");
        assert!(program.err().contains(&message), "{}", program.err());
    }
}

#[tokio::test]
async fn the_argument_beats_the_variable_that_names_a_file() {
    let neighbours = Neighbours::start().await;
    let good = neighbours.config(0, 0);
    let missing = "/nonexistent/jwtlet.toml";
    let started = Program::start(Program::command().arg(&good).env("JWTLET_CONFIG_FILE", missing));
    address(&started, "management").await;
    let started = Program::start(Program::command().env("JWTLET_CONFIG_FILE", &good));
    address(&started, "management").await;
    let mut ended = Program::start(Program::command().arg(missing).env("JWTLET_CONFIG_FILE", &good));
    assert_eq!(ended.ended().await, 1);
    let started = Program::start(Program::command().arg(&good).env("JWTLET_CONFIG_FILE", ""));
    address(&started, "management").await;
}

#[tokio::test]
async fn a_command_line_that_is_not_understood_ends_it_with_the_usage() {
    for arguments in [&["--bogus"][..], &["check-config"], &["a.toml", "b.toml"]] {
        let mut program = Program::start(Program::command().args(arguments));
        assert_eq!(program.ended().await, 2, "{arguments:?}");
        assert!(
            program.err().starts_with("error: ") && program.err().contains("Usage: "),
            "{}",
            program.err()
        );
    }
}

#[tokio::test]
async fn a_signal_lets_running_requests_finish_and_ends_it_with_status_0() {
    let neighbours = Neighbours::start().await;
    let http = client();
    for signal in ["TERM", "INT"] {
        let (mut program, exchange, management) = start_ready(&neighbours, &http).await;
        map(&neighbours, &http, &management).await;
        let subject_token =
            neighbours.kubernetes.token("demo", "connector").audience(EXCHANGE_AUDIENCE).mint();
        neighbours.vault.faults().set_latency(Duration::from_secs(2));
        let request = tokio::spawn(Answer::of(exchange_request(&http, &exchange, &subject_token, "acme")));
        // Kubernetes has answered, so the request is at Vault, which takes its time.
        wait_until(|| neighbours.kubernetes.reviews_of(&subject_token) == 1, PATIENCE).await.unwrap();
        program.signal(signal);
        for url in [&exchange, &management] {
            let address = url.trim_start_matches("http://");
            wait_until(|| TcpStream::connect(address).is_err(), PATIENCE).await.unwrap();
        }
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(program.ended().await, 0, "{}", program.err());
        assert!(program.err().trim_end().ends_with("stopped"), "{}", program.err());
        neighbours.vault.faults().clear();
    }
}

#[tokio::test]
async fn a_signal_ends_a_process_that_never_became_ready() {
    let neighbours = Neighbours::start().await;
    neighbours.kubernetes.stop().await;
    neighbours.vault.faults().always(jwtlet_testkit::Fault::Hang);
    let mut program = Program::start(Program::command().arg(neighbours.config(0, 0)));
    address(&program, "management").await;
    program.signal("TERM");
    assert_eq!(program.ended().await, 0, "{}", program.err());
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_well() {
    let server = Harness::start().await;
    server.stop.cancel();
    server.server.await.unwrap().unwrap();
    let refused = server.http.get(format!("{}/livez", server.exchange)).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let neighbours = Neighbours::start().await;
    let (mut program, exchange, _) = start_ready(&neighbours, &client()).await;
    let _silent = TcpStream::connect(exchange.trim_start_matches("http://")).unwrap();
    let signalled = Instant::now();
    program.signal("TERM");
    assert_eq!(program.ended().await, 0);
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn logs_go_to_standard_error_and_nothing_to_standard_output() {
    let neighbours = Neighbours::start().await;
    let (mut program, ..) = start_ready(&neighbours, &client()).await;
    program.signal("TERM");
    program.ended().await;
    assert_eq!(program.out(), "");
    assert!(
        program.err().lines().all(|line| line.contains(" INFO ") || line.contains(" WARN ")),
        "{}",
        program.err()
    );
    assert!(program.err().contains("issuer is not set"), "{}", program.err());
}

#[tokio::test]
async fn json_log_lines_are_json_and_carry_the_id_of_the_request() {
    let neighbours = Neighbours::start().await;
    let http = client();
    let mut command = Program::command();
    let command =
        command.arg(neighbours.config(0, 0)).env("JWTLET__LOG_FORMAT", "json").env("RUST_LOG", "debug");
    let mut program = Program::start(command);
    let exchange = address(&program, "exchange").await;
    let answer = Answer::of(http.get(format!("{exchange}/livez")).header("x-request-id", "find-me")).await;
    assert_eq!(answer.header("x-request-id"), Some("find-me"));
    program.signal("TERM");
    program.ended().await;
    let lines: Vec<Value> = program.err().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
    let answered = lines.iter().find(|line| line["span"]["id"] == "find-me").unwrap();
    let told = (&answered["message"], &answered["status"], &answered["span"]["path"]);
    assert_eq!(told, (&json!("answered"), &json!(200), &json!("/livez")));
}

#[tokio::test]
async fn each_management_call_is_logged_with_its_status_and_the_id_of_its_request() {
    let neighbours = Neighbours::start().await;
    let http = client();
    let (mut program, _, management) = start_ready(&neighbours, &http).await;
    let request = http.get(format!("{management}/api/v1/scopes")).header("x-request-id", "find-me");
    assert_eq!(Answer::of(request).await.status, 401);
    program.signal("TERM");
    program.ended().await;
    let log = program.err();
    let line = log.lines().find(|line| line.contains("find-me")).unwrap();
    for part in [" INFO ", "method=GET", "path=/api/v1/scopes", "management call status=401"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn each_change_and_each_refused_one_is_one_log_line_and_a_deletion_of_nothing_is_none() {
    let neighbours = Neighbours::start().await;
    let (program, _, management) = start_ready(&neighbours, &client()).await;
    map(&neighbours, &client(), &management).await;
    let token = neighbours.kubernetes.token("ops", "admin").audience(MANAGEMENT_AUDIENCE).mint();
    for path in ["mappings/nobody", "mappings/system:serviceaccount:demo:connector", "scopes/none"] {
        let request = client().delete(format!("{management}/api/v1/{path}")).bearer_auth(&token);
        assert_eq!(Answer::of(request.header("x-request-id", "find-me")).await.status, 204);
    }
    let refused = client().delete(format!("{management}/api/v1/scopes/none")).bearer_auth(&token);
    assert_eq!(Answer::of(refused.header("if-match", "*")).await.status, 412);
    let is_written = || program.err().contains("management call status=412");
    wait_until(is_written, PATIENCE).await.unwrap();
    let log = program.err();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("policy change")).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for part in
        ["actor=\"system:serviceaccount:ops:admin\" uid=", "action=\"mapping.create\"", "context=\"acme\""]
    {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    let deleted = "action=\"mapping.delete\" client=\"system:serviceaccount:demo:connector\"";
    assert!(lines[1].contains(deleted) && lines[1].contains("id=\"find-me\""), "{}", lines[1]);
    let refused = "action=\"scope.delete\" scope=\"none\" reason=";
    assert!(lines[2].contains(" WARN ") && lines[2].contains(refused), "{}", lines[2]);
}

#[tokio::test]
async fn rust_log_sets_the_level() {
    let neighbours = Neighbours::start().await;
    let http = client();
    for (level, marks) in [("debug", [true, true]), ("info", [false, true]), ("error", [false, false])] {
        let mut command = Program::command();
        let config = neighbours.config(free_port(), 0);
        let program = Program::start(command.arg(&config).env("RUST_LOG", level));
        let text = std::fs::read_to_string(config).unwrap();
        let port = text.split("token_exchange_port = ").nth(1).unwrap().split('\n').next().unwrap();
        ready(&http, &format!("http://127.0.0.1:{port}")).await;
        let seen = [program.err().contains(" DEBUG "), program.err().contains(" INFO ")];
        assert_eq!(seen, marks, "{level}: {}", program.err());
    }
}

/// A port that nothing listens on at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The binary to measure and how many bytes of memory it may take: the released one where `JWTLET_RELEASE_BINARY` names
/// it, and this build's otherwise, whose code alone is several times as large.
#[cfg(target_os = "linux")]
pub(crate) fn measured() -> (std::path::PathBuf, u64) {
    match std::env::var_os("JWTLET_RELEASE_BINARY") {
        Some(released) => (released.into(), 30_000_000),
        None => (env!("CARGO_BIN_EXE_jwtlet-server").into(), 60_000_000),
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn it_is_ready_within_a_second_and_takes_less_than_30_mb_while_idle() {
    let neighbours = Neighbours::start().await;
    let http = client();
    let (binary, limit) = measured();
    let mut fastest = Duration::MAX;
    // The best of three: other tests run beside this one.
    for _ in 0..3 {
        let config = neighbours.config(0, 0);
        let started = Instant::now();
        let program = Program::start(Program::command_of(&binary).arg(config));
        ready(&http, &address(&program, "exchange").await).await;
        fastest = fastest.min(started.elapsed());
        let kib = resident_kib(program.id());
        println!("{}: {kib} KiB, ready after {:?}", binary.display(), started.elapsed());
        assert!(kib * 1024 < limit, "{kib} KiB");
    }
    assert!(fastest < Duration::from_secs(1), "ready after {fastest:?}");
}

#[cfg(target_os = "linux")]
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn exchanges_have_as_many_threads_as_configured_and_the_management_api_has_one() {
    let (neighbours, http) = (Neighbours::start().await, client());
    let config = neighbours.config(0, 0);
    let program = Program::start(Program::command().arg(config).env("JWTLET__HTTP__WORKER_THREADS", "3"));
    ready(&http, &address(&program, "exchange").await).await;
    let threads = std::fs::read_dir(format!("/proc/{}/task", program.id())).unwrap();
    let names: Vec<_> = threads
        .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok())
        .collect();
    let count = |name: &str| names.iter().filter(|thread| thread.trim() == name).count();
    // Further ones are for calls that block, such as those to the resolver.
    assert!(count("exchange") >= 3, "{names:?}");
    assert!(count("management") >= 1, "{names:?}");
}
