//! `jwtlet lint`.

use insta::assert_snapshot;

use crate::world::{CONNECTOR, World};

#[tokio::test]
async fn nothing_odd_is_said_too() {
    let world = World::start().await;
    assert_eq!(world.ok(&["lint"]).await.out, "nothing is odd\n");
}

#[tokio::test]
async fn findings_are_listed_and_the_exit_status_tells_the_worst() {
    let world = World::start().await.with_policy().await;
    let warnings = world.jwtlet(&["lint"]).run().await;
    assert_snapshot!(world.fixed(&warnings), @"
    exit 3
    SEVERITY  KIND            MESSAGE
    warning   unmapped-scope  the scope write has no scope mapping, so it adds no claim; granted by the mapping of system:serviceaccount:demo:connector for acme
    ");
    assert_eq!(world.jwtlet(&["lint", "--fail-on", "warning"]).run().await.status, 1);
    world.ok(&["mapping", "update", CONNECTOR, "acme", "--remove-scope", "write"]).await;
    world.ok(&["scope", "create", "unused", "--claims", "{}"]).await;
    let infos = world.ok(&["lint", "-o", "json"]).await.json();
    assert_eq!(infos["findings"][0]["kind"], "unused-scope");
    assert_eq!(world.jwtlet(&["lint", "--fail-on", "info"]).run().await.status, 1);
}

#[tokio::test]
async fn more_findings_than_the_limit_are_mentioned() {
    let world = World::start().await.with_policy().await;
    world.ok(&["mapping", "create", CONNECTOR, "globex", "--scope", "other"]).await;
    let ran = world.jwtlet(&["lint", "--limit", "1"]).run().await;
    assert_eq!((ran.status, &*ran.err), (3, "there are more findings than --limit allows\n"));
}
