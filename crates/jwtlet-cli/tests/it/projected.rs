//! The tokens that the kubelet projects into a pod, where the command looks without being told.

use std::{path::Path, process::Output};

use serde_json::Value;
use tokio::process::Command;

use crate::world::World;

/// Puts both tokens where a pod has them, in a file system that nobody else sees.
const POD: &str = r#"
set -e
mount -t tmpfs tmpfs /var/run
mkdir -p /var/run/secrets/jwtlet
cp "$1" /var/run/secrets/jwtlet/management-token
cp "$2" /var/run/secrets/jwtlet/exchange-token
shift 2
exec "$@"
"#;

impl World {
    /// The command in such a pod.
    async fn in_a_pod(&self, management: &Path, exchange: &Path, arguments: &[&str]) -> Output {
        Command::new("unshare")
            .args(["-rm", "sh", "-c", POD, "pod"])
            .args([management, exchange])
            .arg(env!("CARGO_BIN_EXE_jwtlet"))
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("JWTLET_SERVER", &self.management)
            .env("JWTLET_EXCHANGE_SERVER", &self.exchange)
            .output()
            .await
            .unwrap()
    }
}

async fn can_unshare() -> bool {
    Command::new("unshare").args(["-rm", "true"]).output().await.is_ok_and(|ran| ran.status.success())
}

#[tokio::test]
async fn a_pod_needs_no_option_for_its_tokens() {
    if !can_unshare().await {
        println!("not tested: `unshare -rm true` fails here, so nobody may mount a file system of their own");
        return;
    }
    let world = World::start().await.with_policy().await;
    let management = world.write("management", &world.operator("admin").mint());
    let exchange = world.write("exchange", &world.subject().mint());
    let list = world.in_a_pod(&management, &exchange, &["mapping", "list", "-o", "json"]).await;
    assert_eq!(String::from_utf8(list.stderr).unwrap(), "");
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["participantContext"], "acme");
    for arguments in [&["exchange", "acme"][..], &["doctor"]] {
        let ran = world.in_a_pod(&management, &exchange, arguments).await;
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
}
