//! Settings of a [`Vault`] before it starts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use super::kubernetes_login::KubernetesAuth;
use super::policy::TokenPolicy;
use super::state::{Limits, State};
use super::tokens::Tokens;
use super::transit::Keys;
use super::{Vault, routes};
use crate::error::StartError;
use crate::faults::Faults;
use crate::listener::Bound;

/// Settings of a [`Vault`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing listens until `start`"]
pub struct VaultBuilder {
    address: Option<SocketAddr>,
    tls: bool,
    namespace: Option<String>,
    mount: Option<String>,
    kubernetes: Option<KubernetesAuth>,
    kubernetes_mount: Option<String>,
    no_batches: bool,
    no_salt_lengths: bool,
    limits: Limits,
}

impl VaultBuilder {
    /// Listens on this address instead of a free loopback port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Whether to speak TLS, with a certificate authority of its own.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Puts everything into this namespace: requests must name it in `X-Vault-Namespace` or in the path.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(trimmed(namespace));
        self
    }

    /// Mounts the transit engine here instead of at `transit`.
    pub fn mount(mut self, mount: &str) -> Self {
        self.mount = Some(trimmed(mount));
        self
    }

    /// Enables the Kubernetes login, which reviews tokens at this API server.
    pub fn kubernetes_auth(mut self, kubernetes: KubernetesAuth) -> Self {
        self.kubernetes = Some(kubernetes);
        self
    }

    /// Mounts the Kubernetes login here below `auth/` instead of at `kubernetes`.
    pub fn kubernetes_mount(mut self, mount: &str) -> Self {
        self.kubernetes_mount = Some(trimmed(mount));
        self
    }

    /// Signs one message a call, like servers from before there were batches: they ignore `batch_input`.
    pub fn without_batches(mut self) -> Self {
        self.no_batches = true;
        self
    }

    /// Makes PSS signatures with the longest salt, like servers from before there was a choice: they ignore
    /// `salt_length`.
    pub fn without_salt_lengths(mut self) -> Self {
        self.no_salt_lengths = true;
        self
    }

    /// Refuses requests with more JSON strings than this, names of members included, with status 400, as OpenBao does;
    /// 1000 by default.
    pub fn max_request_json_strings(mut self, strings: usize) -> Self {
        self.limits.json_strings = strings;
        self
    }

    /// Refuses requests with a longer body than this, in bytes, with status 413; 32 MiB by default.
    pub fn max_request_size(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// [`StartError`] if the address cannot be bound or no certificate can be made.
    pub async fn start(self) -> Result<Vault, StartError> {
        let bound = Bound::bind(self.address, self.tls).await?;
        let faults = Arc::new(Faults::default());
        let tokens = Tokens::default();
        let root_token = tokens.create(&TokenPolicy::root());
        let state = Arc::new(State {
            mount: self.mount.unwrap_or_else(|| "transit".to_owned()),
            namespace: self.namespace,
            sealed: AtomicBool::new(false),
            keys: Keys::default(),
            tokens,
            root_token,
            kubernetes_mount: self.kubernetes_mount.unwrap_or_else(|| "kubernetes".to_owned()),
            kubernetes: self.kubernetes,
            roles: Mutex::new(HashMap::new()),
            faults: Arc::clone(&faults),
            hooks: Mutex::new(Vec::new()),
            calls: Mutex::new(HashMap::new()),
            signatures: AtomicU64::new(0),
            no_batches: self.no_batches,
            no_salt_lengths: self.no_salt_lengths,
            limits: self.limits,
        });
        let server = Arc::new(bound.serve(routes::router(Arc::clone(&state)), faults));
        Ok(Vault { state, server })
    }
}

fn trimmed(path: &str) -> String {
    path.trim_matches('/').to_owned()
}
