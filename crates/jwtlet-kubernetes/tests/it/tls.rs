//! Whom the verifier trusts to be the cluster.

use std::fs;

use jwtlet_testkit::Kubernetes;
use tempfile::TempDir;

use crate::support::Cluster;

/// A cluster that speaks TLS, in front of which stands a verifier with this text in its CA file.
async fn cluster_with_ca(ca: impl FnOnce(&Kubernetes) -> String) -> (Cluster, TempDir) {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.crt");
    fs::write(&file, ca(&kubernetes)).unwrap();
    (Cluster::around(kubernetes, |settings| settings.ca_file = file), directory)
}

async fn other_ca() -> String {
    Kubernetes::builder().tls(true).start().await.unwrap().ca_pem().unwrap()
}

#[tokio::test]
async fn the_clusters_own_authority_is_trusted() {
    let (cluster, _directory) = cluster_with_ca(|kubernetes| kubernetes.ca_pem().unwrap()).await;
    for _ in 0..20 {
        cluster.accepts().await;
    }
    assert_eq!(cluster.kubernetes.connections(), 1);
}

#[tokio::test]
async fn a_bundle_of_authorities_is_trusted_as_a_whole() {
    let other = other_ca().await;
    let (cluster, _directory) =
        cluster_with_ca(|kubernetes| format!("{other}\n# the new one\n{}", kubernetes.ca_pem().unwrap()))
            .await;
    cluster.accepts().await;
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let other = other_ca().await;
    let (cluster, _directory) = cluster_with_ca(|_| other).await;
    let (_, causes) = cluster.is_unavailable().await;
    assert!(causes.contains("certificate"), "{causes}");
    assert_eq!(cluster.kubernetes.reviews(), 0);
}

#[tokio::test]
async fn without_the_file_the_systems_authorities_are_trusted_which_are_not_the_clusters() {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    let cluster = Cluster::around(kubernetes, |settings| settings.ca_file = "/nonexistent/ca.crt".into());
    cluster.is_unavailable().await;
    assert_eq!(cluster.kubernetes.reviews(), 0);
}

#[tokio::test]
async fn a_file_without_a_certificate_trusts_nobody_and_says_so() {
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let (cluster, _directory) = cluster_with_ca(|_| text.to_owned()).await;
        let (_, causes) = cluster.is_unavailable().await;
        assert!(
            causes.contains("holds no usable PEM certificate") || causes.contains("certificate"),
            "{causes}"
        );
        assert_eq!(cluster.kubernetes.reviews(), 0);
    }
}

#[tokio::test]
async fn a_file_that_is_mended_before_the_first_connection_is_used_at_once() {
    let (cluster, directory) = cluster_with_ca(|_| String::new()).await;
    cluster.is_unavailable().await;
    fs::write(directory.path().join("ca.crt"), cluster.kubernetes.ca_pem().unwrap()).unwrap();
    cluster.accepts().await;
}

#[tokio::test]
async fn plain_http_looks_at_no_ca_file() {
    let cluster = Cluster::start_with(|settings| {
        let broken = settings.token_file.with_file_name("broken.crt");
        fs::write(&broken, "no certificate").unwrap();
        settings.ca_file = broken;
    })
    .await;
    cluster.accepts().await;
}
