//! Kubernetes and Vault behind TLS, each with a certificate authority of its own.

use std::fs;

use jwtlet_testkit::{Kubernetes, Vault};
use tempfile::TempDir;

use crate::harness::{CONNECTOR, Harness};

async fn neighbours() -> (Kubernetes, Vault) {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    (kubernetes, Vault::builder().tls(true).start().await.unwrap())
}

/// A server that trusts these authorities.
async fn launch(
    kubernetes: Kubernetes,
    vault: Vault,
    kubernetes_ca: &str,
    vault_ca: &str,
) -> (Harness, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let file = directory.path().join(name);
        fs::write(&file, pem).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (kubernetes_ca, vault_ca) = (write("kubernetes.pem", kubernetes_ca), write("vault.pem", vault_ca));
    let variables = [("JWTLET__K8S__CA_FILE", &*kubernetes_ca), ("JWTLET__VAULT__CA_FILE", &vault_ca)];
    (Harness::launch(kubernetes, vault, &variables).await, directory)
}

#[tokio::test]
async fn an_exchange_works_over_tls_and_connections_are_kept() {
    let (kubernetes, vault) = neighbours().await;
    let (kubernetes_ca, vault_ca) = (kubernetes.ca_pem().unwrap(), vault.ca_pem().unwrap());
    let (server, _directory) = launch(kubernetes, vault, &kubernetes_ca, &vault_ca).await;
    server.wait_until_ready().await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    server.exchange_works().await;
    let connections = (server.kubernetes.connections(), server.vault.connections());
    for _ in 0..20 {
        server.exchange_works().await;
    }
    assert_eq!((server.kubernetes.connections(), server.vault.connections()), connections);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let (kubernetes, vault) = neighbours().await;
    let (kubernetes_ca, vault_ca) = (kubernetes.ca_pem().unwrap(), vault.ca_pem().unwrap());
    let (server, _directory) = launch(kubernetes, vault, &vault_ca, &kubernetes_ca).await;
    let token = server.subject_token();
    let answer = server.exchange_token(&token, &[("resource", "acme")]).await;
    answer.assert_refused(503, "temporarily_unavailable");
    assert_eq!(server.get("/readyz").await.body, "Kubernetes: not ready\nVault: not ready\n");
    assert_eq!((server.kubernetes.reviews(), server.vault.calls()), (0, 0));
}
