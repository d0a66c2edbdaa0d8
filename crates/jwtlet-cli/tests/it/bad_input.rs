//! Everything that users get wrong: one message that says what happened and what to do, and an exit status of its own.

use insta::assert_snapshot;

use crate::{
    stand_in::older_server,
    tls::in_front_of,
    world::{CONNECTOR, Run, World, jwtlet},
};

#[tokio::test]
async fn without_an_address_it_says_which_one_is_missing() {
    assert_snapshot!(jwtlet(&["mapping", "list"]).run().await, @"
    exit 10
    error: no address of the management API is given
    help: give --server URL or set JWTLET_SERVER; an example is http://localhost:8081
    ");
    // An empty variable is one that a template had no value for.
    assert_snapshot!(jwtlet(&["exchange", "acme"]).env("JWTLET_EXCHANGE_SERVER", "").run().await, @"
    exit 10
    error: no address of the exchange API is given
    help: give --exchange-server URL or set JWTLET_EXCHANGE_SERVER; an example is http://localhost:8080
    ");
    assert_eq!(jwtlet(&["doctor"]).run().await.status, 10);
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for (address, rule) in [
        ("localhost", "it must be a URL with http:// or https://"),
        ("localhost:8081", "it must begin with http:// or https:// and a host"),
        ("ftp://host", "it must begin with http:// or https:// and a host"),
        ("http://user:pass@host", "it must not have a user name or a password"),
        ("http://host/?a=b", "it must not have a query or a fragment"),
    ] {
        let ran = jwtlet(&["mapping", "list", "--server", address]).run().await;
        ran.assert_fails(10, &format!("the address of the management API cannot be used: {rule}"));
        assert!(!ran.err.contains("user:pass"), "{ran}");
    }
}

#[tokio::test]
async fn paths_that_people_add_to_an_address_do_no_harm() {
    let world = World::start().await.with_policy().await;
    for suffix in ["/", "/api/v1", "/api/v1/"] {
        let address = format!("{}{suffix}", world.management);
        assert_eq!(world.ok(&["scope", "list", "--server", &address]).await.out.lines().count(), 2);
    }
    let address = format!("{}/token", world.exchange);
    let ran = world.exchange(&["acme", "--exchange-server", &address]).run().await;
    assert_eq!(ran.status, 0, "{ran}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reached() {
    let world = World::start().await;
    let ran = world.jwtlet(&["mapping", "list", "--server", "http://127.0.0.1:1"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 11
    error: the management API at http://127.0.0.1:1 cannot be reached: the call failed: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    help: check the address in --server and that the server runs; outside the cluster, `kubectl port-forward` makes it reachable
    ");
    let ran = world.exchange(&["acme", "--exchange-server", "http://127.0.0.1:1"]).run().await;
    assert_eq!(ran.status, 11);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_without_end() {
    let world = World::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let ran = world.jwtlet(&["lint", "--server", &address, "--timeout", "1"]).run().await;
    ran.assert_fails(11, &format!("the management API at {address} did not answer in time"));
}

#[tokio::test]
async fn the_other_port_is_recognised() {
    let world = World::start().await.with_policy().await;
    let ran = world.jwtlet(&["mapping", "list", "--server", &world.exchange]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 13
    error: [exchange] is the exchange API of jwtlet, not its management API
    help: give the address of the management API with --server (JWTLET_SERVER)
    ");
    let ran = world.exchange(&["acme", "--exchange-server", &world.management]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 13
    error: [management] is the management API of jwtlet, not its exchange API
    help: give the address of the exchange API with --exchange-server (JWTLET_EXCHANGE_SERVER)
    ");
    for command in
        [&["explain", "a", "b"][..], &["lint"], &["audit", "verify"], &["mapping", "get", "a", "b"]]
    {
        let ran = world.jwtlet(&[command, &["--server", &world.exchange]].concat()).run().await;
        assert_eq!(ran.status, 13, "{ran}");
    }
}

#[tokio::test]
async fn the_other_port_is_recognised_before_the_keys_are_known() {
    let world = World::launch().await;
    world.vault.stop().await;
    let ran = world.jwtlet(&["mapping", "list", "--server", &world.exchange]).run().await;
    assert_eq!(ran.status, 13, "{ran}");
}

#[tokio::test]
async fn a_missing_token_says_where_it_was_looked_for() {
    let world = World::start().await;
    assert_snapshot!(world.fixed(&world.without_token(&["mapping", "list"]).run().await), @"
    exit 20
    error: there is no token for the management API: cannot read the token file /var/run/secrets/jwtlet/management-token: No such file or directory (os error 2)
    help: give --token-file FILE or --service-account NAMESPACE/NAME; without them the token is read from /var/run/secrets/jwtlet/management-token
    ");
    assert_snapshot!(world.fixed(&world.without_token(&["exchange", "acme"]).run().await), @"
    exit 20
    error: there is no token for the exchange API: cannot read the token file /var/run/secrets/jwtlet/exchange-token: No such file or directory (os error 2)
    help: give --token-file FILE or --service-account NAMESPACE/NAME; without them the token is read from /var/run/secrets/jwtlet/exchange-token
    ");
    let empty = world.write("empty", "\n");
    let ran = world.without_token(&["lint", "--token-file", empty.to_str().unwrap()]).run().await;
    ran.assert_fails(20, "there is no token for the management API: the token file ");
    let name = world.write("name", "not-a-token");
    let ran = world.without_token(&["lint", "--token-file", name.to_str().unwrap()]).run().await;
    ran.assert_fails(20, "there is no token for the management API: what the file gives is not a JWT");
}

#[tokio::test]
async fn tokens_that_are_refused_say_why() {
    let world = World::start().await;
    let list = async |token: String| world.with_token(&token, &["mapping", "list"]).run().await;
    assert_snapshot!(world.fixed(&list(world.operator("admin").expires_in(-10).mint()).await), @"
    exit 21
    error: the token for the management API expired at [time]
    help: get a new one: --service-account NAMESPACE/NAME does, and so does the kubelet for a projected token
    ");
    assert_snapshot!(world.fixed(&list(world.subject().mint()).await), @"
    exit 22
    error: the token for the management API is refused: the bearer token is not bound to the audience jwtlet-management; request a token with that audience
    help: the token is for jwtlet-exchange; `jwtlet token inspect FILE` says what else is wrong with it
    ");
    world.kubernetes.delete_service_account("ops", "admin");
    list(world.operator("admin").mint()).await.assert_fails(
        22,
        "the token for the management API is refused: the bearer token is not accepted by the cluster",
    );
}

#[tokio::test]
async fn a_missing_role_is_named() {
    let world = World::start().await;
    let ran = world.jwtlet_as("nobody", &["mapping", "list"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 23
    error: the call is not permitted: system:serviceaccount:ops:nobody needs the role jwtlet:management:read in [service_accounts]
    help: use another service account, or grant the role in [service_accounts] of the server's configuration
    ");
    let ran = world.jwtlet_as("reader", &["mapping", "create", CONNECTOR, "acme"]).run().await;
    ran.assert_fails(23, "the call is not permitted: system:serviceaccount:ops:reader needs the role jwtlet:management:mappings:write");
}

#[tokio::test]
async fn a_cluster_that_cannot_check_the_token_is_unavailable() {
    let world = World::start().await;
    let token = world.operator("admin").mint();
    world.kubernetes.stop().await;
    let ran = world.with_token(&token, &["mapping", "list"]).run().await;
    assert_snapshot!(world.fixed(&ran), @"
    exit 15
    error: the server cannot answer now: 503, Kubernetes does not answer; try again (request [id])
    help: try again in 1 s; `jwtlet doctor` says what is in the way
    ");
}

#[tokio::test]
async fn a_server_that_is_asked_too_often_is_unavailable_and_says_for_how_long() {
    let world = World::start_limited().await;
    // A slow machine may let a second pass between two runs.
    let until_limited = async |run: &dyn Fn() -> Run| {
        for _ in 0..20 {
            let ran = run().run().await;
            if ran.status == 15 {
                return ran;
            }
        }
        panic!("there is no limit");
    };
    assert_snapshot!(world.fixed(&until_limited(&|| world.jwtlet(&["mapping", "list"])).await), @"
    exit 15
    error: the server cannot answer now: 429, too many requests from this address; wait (request [id])
    help: try again in 1 s; [limits] in the server's configuration says how often somebody may ask
    ");
    assert_snapshot!(world.fixed(&until_limited(&|| world.exchange(&["acme"])).await), @"
    exit 15
    error: the server cannot answer now: 429, too many requests from this address; wait (request [id])
    help: try again in 1 s; [limits] in the server's configuration says how often somebody may ask
    ");
    // The requests that tell one port from the other are counted too.
    let run = || world.jwtlet(&["mapping", "list", "--server", &world.exchange]);
    let ran = until_limited(&run).await;
    ran.assert_fails(15, "the server cannot answer now: 429, ");
}

#[tokio::test]
async fn names_that_break_their_rule_are_refused_before_anything_is_sent() {
    for arguments in [
        &["exchange", "a\nb"][..],
        &["exchange", "acme", "--scope", "a b"],
        &["explain", "", "acme"],
        &["mapping", "get", "..", "acme"],
        &["mapping", "list", "--limit", "0"],
        &["mapping", "create", "a", "b", "--expires-at", "tomorrow"],
        &["audit", "verify", "--sequence", "1"],
        &["nonsense"],
        &["mapping"],
    ] {
        let ran = jwtlet(arguments).run().await;
        assert_eq!((ran.status, &*ran.out), (2, ""), "{arguments:?}: {ran}");
    }
}

#[tokio::test]
async fn each_kind_of_bad_input_has_a_message_and_an_exit_status_of_its_own() {
    let world = World::start().await;
    let document = "kind: ScopeMapping\nscope: read\nclaims: {}\n";
    let apply = ["policy", "apply", "-f", "-"];
    let run = || world.jwtlet(&apply).input(document);
    let written = |text: &str| world.jwtlet(&apply).input(text);
    let expired = world.operator("admin").expires_in(-10).mint();
    let older = older_server().await;
    let (tls, _) = in_front_of(&world.management).await;
    let authority = world.write("other.pem", &in_front_of(&world.management).await.1);
    let cases = [
        (10, "no address", run().env("JWTLET_SERVER", "")),
        (11, "no server", run().env("JWTLET_SERVER", "http://127.0.0.1:1")),
        (12, "TLS mistrust", run().env("JWTLET_SERVER", &tls).env("JWTLET_CA_FILE", &authority)),
        (13, "wrong port", run().env("JWTLET_SERVER", &world.exchange)),
        (14, "older server", run().env("JWTLET_SERVER", older.url())),
        (20, "no token", world.without_token(&apply).input(document)),
        (21, "expired token", world.with_token(&expired, &apply).input(document)),
        (22, "refused token", world.with_token(&world.subject().mint(), &apply).input(document)),
        (23, "missing role", world.jwtlet_as("reader", &apply).input(document)),
        (30, "wrong document", written(&document.replace("read", "two words"))),
        (50, "YAML mistake", written("kind: [")),
        (51, "duplicate documents", written(&format!("{document}---\n{document}"))),
        (52, "unknown field", written(&format!("{document}colour: red\n"))),
    ];
    for (status, what, run) in cases {
        let ran = run.run().await;
        ran.assert_fails(status, "");
        let starts = |start: &str| ran.err.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!((starts("error: "), starts("help: ")), (1, 1), "{what}: {ran}");
    }
}
