//! A Kubernetes API server, as far as service account tokens are concerned.
//!
//! It judges tokens as the original does, its surprising sides included: the leading space that makes a
//! caller anonymous, the minute of leeway after expiry, the answer 201 for a refused token. Only the ten
//! seconds for which the original remembers a good token are left out, so that a revocation shows at once.

mod authenticate;
mod builder;
mod cluster;
mod keys;
mod protobuf;
mod reviews;
mod routes;
mod status;
mod token_requests;
mod tokens;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use crate::encoding::{base64, lock};
use crate::error::StartError;
use crate::faults::Faults;
use crate::listener::Server;

pub use builder::KubernetesBuilder;
pub(crate) use status::status_object;
pub use tokens::TokenBuilder;

use cluster::{Cluster, State};

/// The namespace and the name of the service account that may create TokenReview objects from the start.
const REVIEWER: &str = "jwtlet";

/// A handle to a running API server; clones mean the same server, which stops with the last of them.
#[derive(Clone)]
pub struct Kubernetes {
    state: Arc<State>,
    server: Arc<Server>,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Starts an API server on a free loopback port, without TLS.
    ///
    /// # Errors
    /// [`StartError`] if no port or no key can be had.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Starts one with other settings.
    pub fn builder() -> KubernetesBuilder {
        KubernetesBuilder::default()
    }

    /// The base URL, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The issuer of its service account tokens, which is also the audience of the API server.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// The certificate authority to trust, if the server speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.server.ca_pem()
    }

    /// Creates a service account and returns its uid. One that existed is replaced, and its tokens die.
    #[expect(clippy::must_use_candidate, reason = "called for the effect")]
    pub fn create_service_account(&self, namespace: &str, name: &str) -> String {
        self.cluster().create_service_account(namespace, name)
    }

    /// Deletes a service account; its tokens die with it.
    pub fn delete_service_account(&self, namespace: &str, name: &str) {
        self.cluster().service_accounts.remove(&key(namespace, name));
    }

    /// Creates a pod that tokens can be bound to, and returns its uid. One that existed is replaced.
    #[expect(clippy::must_use_candidate, reason = "called for the effect")]
    pub fn create_pod(&self, namespace: &str, name: &str) -> String {
        self.cluster().create_pod(namespace, name)
    }

    /// Deletes a pod; the tokens bound to it die with it.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.cluster().pods.remove(&key(namespace, name));
    }

    /// A bearer token that may create TokenReview objects: that of the service account `jwtlet/jwtlet`.
    #[must_use]
    pub fn reviewer_token(&self) -> String {
        self.cluster().reviewer_token.clone()
    }

    /// Makes a new reviewer token; every earlier one is answered 401 from now on.
    #[expect(clippy::must_use_candidate, reason = "called for the effect")]
    pub fn rotate_reviewer_token(&self) -> String {
        let (token, id) = self.mint_reviewer_token();
        let mut cluster = self.cluster();
        let former = std::mem::replace(&mut cluster.reviewer_token_id, id);
        cluster.revoked.insert(former);
        cluster.reviewer_token.clone_from(&token);
        token
    }

    /// Takes the right to create TokenReview objects away from everyone (403), or gives it back.
    pub fn forbid_reviews(&self, forbidden: bool) {
        self.cluster().reviews_forbidden = forbidden;
    }

    /// Gives a further service account the right to create TokenReview objects.
    pub fn allow_reviews(&self, namespace: &str, name: &str) {
        self.cluster().reviewers.insert(key(namespace, name));
    }

    /// A bearer token of the cluster administrator, who may do everything.
    #[must_use]
    pub fn admin_token(&self) -> String {
        self.state.admin_token.clone()
    }

    /// A kubeconfig with the administrator's token, for `kubectl`.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let authority = self
            .ca_pem()
            .map_or_else(String::new, |pem| format!("    certificate-authority-data: {}\n", base64(pem)));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: testkit\n  cluster:\n    server: {}\n{authority}\
             users:\n- name: admin\n  user:\n    token: {}\n\
             contexts:\n- name: testkit\n  context:\n    cluster: testkit\n    user: admin\n\
             current-context: testkit\n",
            self.url(),
            self.state.admin_token,
        )
    }

    /// Begins a token of this service account, whether it exists or not.
    pub fn token(&self, namespace: &str, name: &str) -> TokenBuilder {
        TokenBuilder::new(Arc::clone(&self.state), namespace, name)
    }

    /// The faults of this server.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Changes every TokenReview before it is sent: an authenticator unaware of audiences, say.
    pub fn on_review(&self, hook: impl FnMut(&mut Value) + Send + 'static) {
        lock(&self.state.hooks).push(Box::new(hook));
    }

    /// Forgets all hooks.
    pub fn clear_hooks(&self) {
        lock(&self.state.hooks).clear();
    }

    /// How many TokenReview objects were created so far.
    #[must_use]
    pub fn reviews(&self) -> u64 {
        self.state.reviews.load(Ordering::Relaxed)
    }

    /// How many TokenReview objects were created for this token.
    #[must_use]
    pub fn reviews_of(&self, token: &str) -> u64 {
        let hash = digest(&SHA256, token.as_bytes());
        lock(&self.state.reviews_by_token).get(hash.as_ref()).copied().unwrap_or_default()
    }

    /// The `traceparent` headers of the last requests, those that a fault answered among them; the newest last.
    #[must_use]
    pub fn trace_parents(&self) -> Vec<String> {
        self.server.trace_parents()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Closes the port and all connections. The state stays.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Opens the same port again, with the same state.
    ///
    /// # Errors
    /// [`StartError::Bind`] if the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.server.restart().await
    }

    fn cluster(&self) -> std::sync::MutexGuard<'_, Cluster> {
        lock(&self.state.cluster)
    }

    fn mint_reviewer_token(&self) -> (String, String) {
        self.token(REVIEWER, REVIEWER).expires_in(365 * 24 * 3600).mint_with_id()
    }
}

fn key(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}
