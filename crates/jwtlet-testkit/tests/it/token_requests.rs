//! TokenRequest, also by way of `kubectl`.

use jwtlet_testkit::Kubernetes;
use serde_json::{Value, json};

use crate::http::{client, review, send};

async fn request(kubernetes: &Kubernetes, bearer: &str, account: &str, spec: Value) -> (u16, Value) {
    let url = format!("{}/api/v1/namespaces/shop/serviceaccounts/{account}/token", kubernetes.url());
    send(client(None).post(url).bearer_auth(bearer).json(&json!({ "spec": spec }))).await
}

#[tokio::test]
async fn the_administrator_gets_tokens_that_pass_review() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("shop", "cart");
    let uid = kubernetes.create_pod("shop", "cart-0");
    let spec = json!({
        "audiences": ["jwtlet"],
        "expirationSeconds": 600,
        "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "cart-0", "uid": uid },
    });

    let (status, body) = request(&kubernetes, &kubernetes.admin_token(), "cart", spec).await;

    assert_eq!(status, 201, "{body}");
    let (_, body) = review(&kubernetes, body["status"]["token"].as_str().unwrap(), &["jwtlet"]).await;
    assert_eq!(body["status"]["user"]["extra"]["authentication.kubernetes.io/pod-uid"], json!([uid]));
}

#[tokio::test]
async fn requests_are_refused_as_the_original_refuses_them() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.create_service_account("shop", "cart");
    let admin = kubernetes.admin_token();
    let pod = json!({ "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "none" } });
    assert_eq!(request(&kubernetes, &admin, "nobody", json!({})).await.0, 404);
    assert_eq!(request(&kubernetes, &admin, "cart", json!({ "expirationSeconds": 599 })).await.0, 422);
    assert_eq!(request(&kubernetes, &admin, "cart", pod).await.0, 404);
    assert_eq!(request(&kubernetes, &kubernetes.reviewer_token(), "cart", json!({})).await.0, 403);
    assert_eq!(request(&kubernetes, "nonsense", "cart", json!({})).await.0, 401);
}

#[tokio::test]
async fn kubectl_creates_tokens() {
    let kubernetes = Kubernetes::builder().tls(true).start().await.unwrap();
    kubernetes.create_service_account("shop", "cart");
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), kubernetes.kubeconfig()).unwrap();
    let output = tokio::process::Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(config.path())
        .args(["create", "token", "cart", "--namespace=shop", "--audience=jwtlet", "--duration=20m"])
        .output()
        .await
        .expect("kubectl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let token = String::from_utf8(output.stdout).unwrap();
    let (_, body) = review(&kubernetes, token.trim(), &["jwtlet"]).await;
    assert_eq!(body["status"]["user"]["username"], "system:serviceaccount:shop:cart");
}
