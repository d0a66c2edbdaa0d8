//! The probe of a container without a shell: the binary asks its own server.

use crate::{
    certificates::Authority,
    fleet::client,
    program::{Neighbours, Program, address, ready},
};

/// A running server, its URL, and a configuration with its port.
async fn running(neighbours: &Neighbours) -> (Program, String, String) {
    let program = Program::start(Program::command().arg(neighbours.config(0, 0)));
    let exchange = address(&program, "exchange").await;
    let port = exchange.rsplit_once(':').unwrap().1.parse().unwrap();
    (program, exchange, neighbours.config(port, 0))
}

/// Exit status and message of a probe.
async fn probe(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Program::command();
    command.arg("probe").args(arguments).envs(variables.iter().copied());
    let mut program = Program::start(&mut command);
    let status = program.ended().await;
    assert_eq!(program.out(), "");
    (status, program.err())
}

#[tokio::test]
async fn a_probe_of_a_running_server_succeeds_and_says_nothing() {
    let neighbours = Neighbours::start().await;
    let (_program, exchange, config) = running(&neighbours).await;
    ready(&client(), &exchange).await;
    assert_eq!(probe(&[&config], &[]).await, (0, String::new()));
    assert_eq!(probe(&["--ready", &config], &[]).await, (0, String::new()));
    // As in the image, where the server is reached on all addresses and the file is named by a variable.
    let variables = [("JWTLET_CONFIG_FILE", &*config), ("JWTLET__BIND", "0.0.0.0")];
    assert_eq!(probe(&[], &variables).await, (0, String::new()));
}

#[tokio::test]
async fn a_server_that_cannot_exchange_is_live_and_not_ready() {
    let neighbours = Neighbours::start().await;
    neighbours.kubernetes.stop().await;
    let (_program, _, config) = running(&neighbours).await;
    let (status, message) = probe(&["--ready", &config], &[]).await;
    assert!(
        status == 1 && message.contains("/readyz answers 503") && message.contains("not ready"),
        "{message}"
    );
    assert_eq!(probe(&[&config], &[]).await, (0, String::new()));
}

#[tokio::test]
async fn a_probe_without_a_server_fails_and_names_the_address() {
    let neighbours = Neighbours::start().await;
    let (mut program, _, config) = running(&neighbours).await;
    program.signal("TERM");
    program.ended().await;
    let (status, message) = probe(&[&config], &[]).await;
    assert!(status == 1 && message.starts_with("the server at http://127.0.0.1:"), "{message}");
    let (status, message) = probe(&[&neighbours.config(0, 0)], &[]).await;
    assert_eq!((status, &*message), (1, "token_exchange_port is 0: a probe needs a port that is known\n"));
}

#[tokio::test]
async fn a_server_with_tls_is_probed_without_trust_in_its_certificate() {
    let neighbours = Neighbours::start().await;
    let pair = Authority::new().server();
    neighbours.write("tls.crt", &pair.certificate);
    neighbours.write("tls.key", &pair.key);
    let files = neighbours.files.path().display();
    let (certificate, key) = (format!("{files}/tls.crt"), format!("{files}/tls.key"));
    let variables = [("JWTLET__TLS__CERT_FILE", &*certificate), ("JWTLET__TLS__KEY_FILE", &*key)];
    let program = Program::start(Program::command().arg(neighbours.config(0, 0)).envs(variables));
    let exchange = address(&program, "exchange").await;
    let config = neighbours.config(exchange.rsplit_once(':').unwrap().1.parse().unwrap(), 0);
    assert_eq!(probe(&[&config], &variables).await, (0, String::new()));
    let (status, message) = probe(&[&config], &[]).await;
    assert!(status == 1 && message.contains("does not answer"), "{message}");
}
