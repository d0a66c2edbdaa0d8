//! Starting, stopping and starting again.

use std::time::Duration;

use jwtlet_testkit::{Fault, KeyType, Kubernetes, Vault, wait_for, wait_until};

use crate::http::{client, review, root};

async fn answers(url: &str) -> bool {
    client(None).get(url.to_owned() + "/livez").send().await.is_ok()
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_comes_back_with_its_state() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("shop", "cart");
    let token = kubernetes.token("shop", "cart").audience("jwtlet").mint();

    kubernetes.stop().await;
    assert!(!answers(&kubernetes.url()).await);

    kubernetes.restart().await.unwrap();
    let (_, body) = review(&kubernetes, &token, &["jwtlet"]).await;
    assert_eq!(body["status"]["authenticated"], true);
    assert!(kubernetes.connections() >= 1);
}

#[tokio::test]
async fn the_last_handle_takes_the_server_with_it() {
    let kubernetes = Kubernetes::start().await.unwrap();
    let (clone, url) = (kubernetes.clone(), kubernetes.url());
    drop(kubernetes);
    assert!(answers(&url).await);
    drop(clone);
    wait_for(async || !answers(&url).await, Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_an_error() {
    let vault = Vault::start().await.unwrap();
    let error = Vault::builder().address(vault.address()).start().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"));
}

#[tokio::test]
async fn vault_keeps_its_keys_over_a_restart() {
    let vault = Vault::builder().tls(true).start().await.unwrap();
    vault.create_key("k", KeyType::Ed25519).unwrap();
    vault.restart().await.unwrap();
    assert_eq!(root(&vault, "GET", "transit/keys/k", None).await.0, 200);
}

#[tokio::test]
async fn no_request_outlives_the_server_that_it_hangs_in() {
    for tls in [false, true] {
        let vault = Vault::builder().tls(tls).start().await.unwrap();
        vault.faults().always(Fault::Hang);
        let request = client(vault.ca_pem().as_deref()).get(vault.url() + "/v1/sys/health").send();
        let request = tokio::spawn(request);
        wait_until(|| vault.faults().hanging() == 1, Duration::from_secs(5)).await.unwrap();
        vault.faults().clear();
        vault.stop().await;
        wait_until(|| vault.faults().hanging() == 0, Duration::from_secs(5)).await.unwrap();
        assert!(!request.await.unwrap().unwrap_err().is_timeout());
    }
}

#[tokio::test]
async fn patience_runs_out() {
    let error = wait_until(|| false, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.to_string(), "the condition did not hold within 20ms");
}

#[test]
fn debug_output_holds_no_secret() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (kubernetes, vault) = (Kubernetes::start().await.unwrap(), Vault::start().await.unwrap());
        let text = format!("{kubernetes:?} {vault:?} {:?}", kubernetes.token("a", "b"));
        assert!(
            !text.contains(&kubernetes.reviewer_token()) && !text.contains(&vault.root_token()),
            "{text}"
        );
    });
}
