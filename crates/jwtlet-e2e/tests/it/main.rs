//! The end-to-end tests, run against a process with the testkit's Kubernetes, a real OpenBao and a real PostgreSQL:
//! everything that they do on a cluster, but for the cluster.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in helper functions too")]

mod process;
mod world;

use std::process::{Command, Output};

use world::World;

async fn end_to_end(world: &World, changed: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwtlet-e2e"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(world.variables()).envs(changed.iter().copied());
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scenarios_pass_and_each_that_is_sabotaged_fails() {
    let world = World::start().await;
    let (status, text) = end_to_end(&world, &[]).await;
    assert_eq!((status, text.contains("8 passed, 0 failed")), (0, true), "{text}\n{}", world.log());

    // Nothing is restarted, nobody rotates, and the token for somebody else is one for jwtlet.
    let sabotage = [
        ("JWTLET_E2E_RESTART_COMMAND", "echo no >&2; false"),
        ("JWTLET_E2E_ROTATE_COMMAND", "echo no >&2; exit 3"),
        ("JWTLET_E2E_FOREIGN_TOKEN_COMMAND", world.command_for_a_good_token()),
    ];
    let (status, text) = end_to_end(&world, &sabotage).await;
    let expected = [
        "a token for somebody else is refused",
        "a restart loses neither policy nor keys",
        "a key is rotated and retired",
    ];
    assert_eq!((status, failed(&text)), (1, expected.to_vec()), "{text}");
    assert!(text.contains("exit status: 3: no") && !text.contains("eyJ"), "{text}");

    // Keys and tokens that do not belong together, and an audience that nobody asked for.
    for (variable, value) in
        [("JWTLET_E2E_ISSUER", "https://other.example"), ("JWTLET_E2E_AUDIENCE", "other")]
    {
        let changed = [
            (variable, value),
            ("JWTLET_E2E_RESTART_COMMAND", "false"),
            ("JWTLET_E2E_ROTATE_COMMAND", "false"),
        ];
        let (status, text) = end_to_end(&world, &changed).await;
        let exchange = "a token is exchanged, and the published keys verify it";
        assert!(status == 1 && failed(&text).contains(&exchange), "{text}");
    }
}

/// The names of the scenarios that failed.
fn failed(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("FAILED  ")?.split_once(" ("));
    lines.map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_variable_that_is_missing_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_jwtlet-e2e")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("JWTLET_E2E_EXCHANGE_URL is not set"));
}
