//! A real OpenBao as a server under test.

use http::Method;
use jwtlet_testkit::{Kubernetes, OpenBao};
use serde_json::{Value, json};

use crate::backend::{Backend, Quota, Rights, Role};

pub(crate) struct RealOpenBao {
    server: OpenBao,
    namespace: &'static str,
}

fn policy(rights: Rights) -> &'static str {
    match rights {
        Rights::Signer => {
            r#"path "transit/keys/signing" { capabilities = ["read"] }
               path "transit/sign/signing" { capabilities = ["update"] }"#
        }
        Rights::Creator => {
            r#"path "transit/keys/signing" { capabilities = ["read", "update"] }
               path "transit/sign/signing" { capabilities = ["update"] }"#
        }
        Rights::Reader => r#"path "transit/keys/signing" { capabilities = ["read"] }"#,
    }
}

impl Backend for RealOpenBao {
    async fn start() -> Self {
        match OpenBao::start().await {
            Ok(server) => Self { server, namespace: "" },
            Err(error) => panic!("{error}"),
        }
    }

    async fn start_in_namespace(namespace: &'static str) -> Self {
        let bao = Self::start().await;
        bao.root(Method::POST, &format!("sys/namespaces/{namespace}"), json!({})).await;
        let bao = Self { namespace, ..bao };
        bao.root(Method::POST, "sys/mounts/transit", json!({ "type": "transit" })).await;
        bao
    }

    async fn start_with_login(kubernetes: &Kubernetes, role: Role) -> Self {
        let bao = Self::start().await;
        kubernetes.create_service_account("vault", "vault");
        kubernetes.allow_reviews("vault", "vault");
        bao.root(Method::POST, "sys/auth/kubernetes", json!({ "type": "kubernetes" })).await;
        let config = json!({
            "kubernetes_host": kubernetes.url(),
            "kubernetes_ca_cert": kubernetes.ca_pem(),
            "token_reviewer_jwt": kubernetes.token("vault", "vault").mint(),
            "disable_local_ca_jwt": true,
        });
        bao.root(Method::POST, "auth/kubernetes/config", config).await;
        let definition = json!({
            "bound_service_account_namespaces": ["jwtlet"],
            "bound_service_account_names": ["signer"],
            "token_policies": [bao.server.create_policy(policy(Rights::Signer)).await.unwrap()],
            "token_ttl": role.ttl.as_secs(),
            "token_max_ttl": role.max_ttl.map_or(0, |max_ttl| max_ttl.as_secs()),
        });
        bao.root(Method::POST, &format!("auth/kubernetes/role/{}", role.name), definition).await;
        bao
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn root_token(&self) -> String {
        self.server.root_token()
    }

    fn namespace(&self) -> &'static str {
        self.namespace
    }

    async fn token(&self, rights: Rights) -> String {
        // A token belongs to a namespace; the tests in one use the root token.
        assert_eq!(self.namespace, "");
        self.server.create_token(policy(rights)).await.unwrap()
    }

    async fn revoke(&self, token: &str) {
        self.server.revoke_token(token).await.unwrap();
    }

    async fn refuse_login_token(&self) {
        let path = "sys/leases/revoke-prefix/auth/kubernetes/login";
        self.server.root(Method::POST, path, &Value::Null).await.unwrap();
    }

    async fn seal(&self) {
        self.server.seal().await.unwrap();
    }

    async fn unseal(&self) {
        self.server.unseal().await.unwrap();
    }

    async fn set_quota(&self, quota: Quota) {
        let headers = json!({ "enable_rate_limit_response_headers": quota.says_so });
        self.root(Method::POST, "sys/quotas/config", headers).await;
        // It holds for every path but those of the quotas themselves, so the rest of the test goes on as root.
        let limit = json!({ "path": "transit/", "rate": 1, "interval": format!("{}s", quota.seconds) });
        self.root(Method::POST, "sys/quotas/rate-limit/signing", limit).await;
    }

    async fn lift_quota(&self) {
        self.root(Method::DELETE, "sys/quotas/rate-limit/signing", Value::Null).await;
    }
}
