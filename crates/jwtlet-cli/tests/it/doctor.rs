//! `jwtlet doctor`.

use insta::assert_snapshot;
use jwtlet_testkit::wait_for;

use crate::{
    stand_in::StandIn,
    world::{Run, World},
};

impl World {
    /// The command with a `kubectl` that gives good tokens of `ops/admin` and of `demo/connector`, by the audience.
    fn doctor(&self, arguments: &[&str]) -> Run {
        use std::os::unix::fs::PermissionsExt;
        let (management, exchange) = (self.operator("admin").mint(), self.subject().mint());
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *=jwtlet-management) echo {management};; *) echo {exchange};; esac\n"
        );
        let file = self.write("kubectl", &script);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        self.without_token(&[&["doctor"], arguments].concat())
            .env("PATH", format!("{}:/usr/bin:/bin", self.files.path().display()))
            .env("JWTLET_SERVICE_ACCOUNT", "ops/admin")
    }
}

#[tokio::test]
async fn everything_in_order_is_one_line_for_each_check() {
    let world = World::start().await;
    let ran = world.doctor(&[]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 0
    ok    management           [management] answers
    ok    server version       0.1.0, as this command
    ok    management clock     this machine and the server are 0s apart
    ok    management ready     exchanges can be served
    ok    management token     system:serviceaccount:ops:admin, expires in 1h
    ok    management role      reading is permitted; writing is not tried
    ok    exchange             [exchange] answers
    ok    exchange clock       this machine and the server are 0s apart
    ok    exchange ready       exchanges can be served
    ok    keys                 signing-jwtlet_pc-1 (EdDSA)
    ok    issuer               https://jwtlet.example.com
    ok    exchange token       system:serviceaccount:demo:connector, expires in 1h
    ok    exchange verdict     the server accepts the token
    ");
}

#[tokio::test]
async fn an_audience_that_is_not_the_servers_is_named_by_the_server() {
    let world = World::start().await;
    let token = world.kubernetes.token("demo", "connector").audience("other").mint();
    let doctor = ["doctor", "--server", "", "--exchange-audience", "other"];
    let ran = world.with_token(&token, &doctor).run().await;
    let shown = world.fixed(&ran);
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_snapshot!(lines.join("\n"), @"
    exit 1
    warn  management           no address of the management API is given, so it is not checked; give --server URL or set JWTLET_SERVER; an example is http://localhost:8081
    fail  exchange verdict     the token for the exchange API is refused: subject_token is not bound to the audience jwtlet-exchange; request a token with that audience; the audience in --exchange-audience (JWTLET_EXCHANGE_AUDIENCE) must be that of token.client_audience in the server's configuration
    ");
}

#[tokio::test]
async fn systems_that_are_away_are_named_and_the_exit_status_is_1() {
    let world = World::start().await;
    world.vault.stop().await;
    let not_ready = async || world.get(&world.exchange, "/readyz").await == Some(503);
    // An exchange finds out at once.
    world.ok(&["mapping", "create", crate::world::CONNECTOR, "acme"]).await;
    assert_eq!(world.exchange(&["acme"]).run().await.status, 15);
    wait_for(not_ready, std::time::Duration::from_secs(20)).await.unwrap();
    let ran = world.doctor(&[]).run().await;
    assert_eq!(ran.status, 1);
    let failed: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("fail")).collect();
    assert_eq!(failed.len(), 2, "{ran}");
    assert!(failed[0].starts_with("fail  management ready     503: Vault: not ready: "), "{ran}");
    assert!(
        failed[1].starts_with("fail  exchange ready       503: Vault: not ready; mend the system"),
        "{ran}"
    );
}

#[tokio::test]
async fn what_is_not_given_is_a_warning() {
    let world = World::start().await;
    let ran = world.jwtlet(&["doctor"]).env("JWTLET_EXCHANGE_SERVER", "").run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 3
    ok    management           [management] answers
    ok    server version       0.1.0, as this command
    ok    management clock     this machine and the server are 0s apart
    ok    management ready     exchanges can be served
    ok    management token     system:serviceaccount:ops:admin, expires in 1h
    ok    management role      reading is permitted; writing is not tried
    warn  exchange             no address of the exchange API is given, so it is not checked; give --exchange-server URL or set JWTLET_EXCHANGE_SERVER; an example is http://localhost:8080
    ");
}

#[tokio::test]
async fn tokens_and_roles_that_are_missing_are_named() {
    let world = World::start().await;
    let ran = world.without_token(&["doctor"]).run().await;
    assert_eq!(ran.status, 3, "{ran}");
    assert!(
        ran.out.contains("warn  management token     there is no token for the management API: cannot read"),
        "{ran}"
    );
    let ran = world.jwtlet_as("nobody", &["doctor", "-o", "json"]).run().await;
    let report = ran.json();
    let level = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["level"].as_str().unwrap().to_owned()
    };
    assert_eq!((level("management role"), level("exchange token")), ("warn".into(), "warn".into()));
    assert_eq!((ran.status, &report["worst"]), (3, &"warn".into()));
    let expired = world.operator("admin").expires_in(-1).mint();
    let ran = world.with_token(&expired, &["doctor"]).run().await;
    assert!(ran.out.contains("fail  management token     the token has expired; "), "{ran}");
    let soon = world.operator("admin").expires_in(30).mint();
    let ran = world.with_token(&soon, &["doctor"]).run().await;
    assert!(
        ran.out.contains("warn  management token     system:serviceaccount:ops:admin, expires in "),
        "{ran}"
    );
}

#[tokio::test]
async fn one_file_cannot_have_the_tokens_for_both_ports() {
    let world = World::start().await;
    let file = world.write("token", &world.operator("admin").mint());
    let ran = world.without_token(&["doctor", "--token-file", file.to_str().unwrap()]).run().await;
    let shown = world.fixed(&ran);
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_snapshot!(lines.join("\n"), @"
    exit 3
    warn  exchange token       the token is not bound to the audience jwtlet-exchange; request a token with that audience ([files]/token); use --service-account or the projected tokens to check both ports
    ");
    // The only port that is checked wants another token.
    let ran = world.jwtlet(&["doctor", "--server", ""]).run().await;
    assert_eq!(ran.status, 1, "{ran}");
    assert!(ran.out.contains("fail  exchange token       the token is not bound to the audience"), "{ran}");
}

#[tokio::test]
async fn ports_that_are_exchanged_or_closed_are_named() {
    let world = World::start().await;
    let exchanged =
        world.jwtlet(&["doctor", "--server", &world.exchange, "--exchange-server", &world.management]);
    let ran = exchanged.run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 1
    fail  management           [exchange] is the exchange API of jwtlet, not its management API; give the address of the management API with --server (JWTLET_SERVER)
    fail  exchange             [management] is the management API of jwtlet, not its exchange API; give the address of the exchange API with --exchange-server (JWTLET_EXCHANGE_SERVER)
    ");
    let ran = world.jwtlet(&["doctor", "--server", "http://127.0.0.1:1"]).run().await;
    assert!(
        ran.out.starts_with(
            "fail  management           the management API at http://127.0.0.1:1 cannot be reached: "
        ),
        "{ran}"
    );
}

#[tokio::test]
async fn a_limit_that_is_reached_is_named() {
    let world = World::start_limited().await;
    // One request a second is less than it makes, wherever the limit meets it.
    let ran = world.jwtlet(&["doctor"]).run().await;
    assert_eq!(ran.status, 1, "{ran}");
    let failed = |line: &&str| line.starts_with("fail");
    for line in ran.out.lines().filter(failed) {
        assert!(
            line.contains("the server cannot answer now: 429, too many requests from this address"),
            "{ran}"
        );
        assert!(line.contains("; try again in 1 s; [limits] in the server's configuration says"), "{ran}");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_version_that_is_unknown_are_named() {
    let world = World::start().await;
    // Its Date header is from the past.
    let server = StandIn::start(&[("/health", "{}"), ("/readyz", "{}"), ("/api/v1/mappings", "[]")]).await;
    let ran = world.jwtlet(&["doctor", "--server", server.url(), "--exchange-server", ""]).run().await;
    let clock = ran.out.lines().find(|line| line.contains("management clock")).unwrap();
    assert!(clock.starts_with("fail  management clock     this machine and the server are "), "{ran}");
    assert!(
        ran.out.contains("warn  server version       the server does not tell, and this command is "),
        "{ran}"
    );
}

#[tokio::test]
async fn tokens_that_travel_in_the_clear_are_a_warning() {
    let world = World::start().await;
    // Reaches this machine, and does not look like it.
    let address = world.management.replace("127.0.0.1", "0.0.0.0");
    let ran = world.doctor(&["--server", &address]).run().await;
    assert_eq!(ran.status, 3, "{ran}");
    assert!(
        ran.out.starts_with(&format!(
            "warn  management           {address} answers, and tokens travel to it in the clear; put TLS"
        )),
        "{ran}"
    );
}
