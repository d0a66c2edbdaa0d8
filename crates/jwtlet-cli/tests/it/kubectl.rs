//! `--service-account`, with a `kubectl` that notes what it is asked.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::world::{Run, World, jwtlet};

impl World {
    /// The command with a `kubectl` that runs this script, in which `$TOKEN` is this token.
    fn with_kubectl(&self, script: &str, token: &str, arguments: &[&str]) -> Run {
        let file = self.write("kubectl", &format!("#!/bin/sh\necho \"$@\" >> \"$SEEN\"\n{script}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.files.path().display());
        self.without_token(arguments)
            .env("PATH", path)
            .env("SEEN", self.files.path().join("seen"))
            .env("TOKEN", token)
    }

    fn seen(&self) -> String {
        fs::read_to_string(self.files.path().join("seen")).unwrap()
    }
}

#[tokio::test]
async fn kubectl_is_asked_for_a_token_with_the_audience_of_the_port() {
    let world = World::start().await.with_policy().await;
    let token = world.operator("admin").mint();
    let list = ["mapping", "list", "--service-account", "ops/admin"];
    let ran = world.with_kubectl("echo \"$TOKEN\"", &token, &list).run().await;
    assert_eq!(ran.status, 0, "{ran}");
    let token = world.subject().mint();
    let exchange = ["exchange", "acme", "--service-account", "demo/connector"];
    let ran = world.with_kubectl("echo \"$TOKEN\"", &token, &exchange).run().await;
    assert_eq!(ran.status, 0, "{ran}");
    let other = ["exchange", "acme", "--exchange-audience", "other"];
    let ran =
        world.with_kubectl("echo \"$TOKEN\"", &token, &other).env("JWTLET_SERVICE_ACCOUNT", "demo/connector");
    assert_eq!(ran.run().await.status, 0);
    assert_eq!(
        world.seen(),
        "create token admin -n ops --audience=jwtlet-management\n\
         create token connector -n demo --audience=jwtlet-exchange\n\
         create token connector -n demo --audience=other\n"
    );
}

#[tokio::test]
async fn what_kubectl_says_is_passed_on() {
    let world = World::start().await;
    let list = ["mapping", "list", "--service-account", "ops/admin"];
    let ran = world.with_kubectl("echo 'error: no context' >&2; exit 1", "", &list).run().await;
    insta::assert_snapshot!(ran, @"
    exit 20
    error: there is no token for the management API: kubectl create token failed (exit status: 1): error: no context
    help: give --token-file FILE or --service-account NAMESPACE/NAME; without them the token is read from /var/run/secrets/jwtlet/management-token
    ");
    let ran = world.with_kubectl("echo hello", "", &list).run().await;
    ran.assert_fails(20, "there is no token for the management API: what kubectl gives is not a JWT");
    let ran = world.without_token(&list).env("PATH", "/nonexistent").run().await;
    ran.assert_fails(20, "there is no token for the management API: cannot run kubectl: ");
}

#[tokio::test]
async fn an_option_beats_a_variable_and_two_of_one_kind_contradict_each_other() {
    let world = World::start().await;
    let token = world.operator("admin").mint();
    let list = ["mapping", "list", "--service-account", "ops/admin"];
    let run = world.with_kubectl("echo \"$TOKEN\"", &token, &list).env("JWTLET_TOKEN_FILE", "/nonexistent");
    assert_eq!(run.run().await.status, 0);
    let ran = jwtlet(&["mapping", "list", "--service-account", "a/b", "--token-file", "f"]).run().await;
    ran.assert_fails(2, "both a token file and a service account are given");
    for account in ["admin", "a/b/c", "-x/y", "A/b", "/"] {
        let ran = jwtlet(&["mapping", "list"]).env("JWTLET_SERVICE_ACCOUNT", account).run().await;
        ran.assert_fails(2, "--service-account must have the form NAMESPACE/NAME");
    }
}
