//! The testkit's Vault as a server under test.

use jwtlet_testkit::{Fault, Kubernetes, KubernetesAuth, KubernetesRole, TokenPolicy, Vault};

use crate::backend::{Backend, Quota, Rights, Role};

pub(crate) struct Testkit {
    pub(crate) vault: Vault,
    namespace: &'static str,
}

impl Backend for Testkit {
    async fn start() -> Self {
        Self { vault: Vault::start().await.unwrap(), namespace: "" }
    }

    async fn start_in_namespace(namespace: &'static str) -> Self {
        Self { vault: Vault::builder().namespace(namespace).start().await.unwrap(), namespace }
    }

    async fn start_with_login(kubernetes: &Kubernetes, role: Role) -> Self {
        let auth = KubernetesAuth::attached_to(kubernetes);
        let vault = Vault::builder().kubernetes_auth(auth).start().await.unwrap();
        vault.kubernetes_role(
            role.name,
            KubernetesRole {
                service_accounts: vec![("jwtlet".to_owned(), "signer".to_owned())],
                audience: None,
                policy: TokenPolicy::signer("signing"),
                ttl: role.ttl,
                max_ttl: role.max_ttl,
            },
        );
        Self { vault, namespace: "" }
    }

    fn url(&self) -> String {
        self.vault.url()
    }

    fn root_token(&self) -> String {
        self.vault.root_token()
    }

    fn namespace(&self) -> &'static str {
        self.namespace
    }

    async fn token(&self, rights: Rights) -> String {
        match rights {
            Rights::Signer => self.vault.create_token(&TokenPolicy::signer("signing")),
            Rights::Creator => self.vault.create_token(&TokenPolicy::signer_and_creator("signing")),
            Rights::Reader => self.vault.create_token(&TokenPolicy::reader("signing")),
        }
    }

    async fn revoke(&self, token: &str) {
        self.vault.revoke_token(token);
    }

    async fn refuse_login_token(&self) {
        self.vault.faults().next_on_path(1, "/v1/transit/sign", Fault::vault(403, "permission denied"));
    }

    async fn seal(&self) {
        self.vault.seal(true);
    }

    async fn unseal(&self) {
        self.vault.seal(false);
    }

    async fn set_quota(&self, quota: Quota) {
        let refusal = Fault::vault(429, "request path \"transit/sign/signing\": rate limit quota exceeded");
        let seconds = quota.seconds.to_string();
        let refusal = if quota.says_so { refusal.with_header("retry-after", &seconds) } else { refusal };
        if quota.seconds > 1 {
            self.vault.faults().on_path("/v1/transit/sign", refusal);
        } else {
            self.vault.faults().next_on_path(1, "/v1/transit/sign", refusal);
        }
    }

    async fn lift_quota(&self) {
        self.vault.faults().clear();
    }
}
