//! A Vault (or OpenBao) server, as far as signing with the transit engine is concerned.
//!
//! It refuses what the original refuses, and lets pass what the original lets pass: a missing input signs the
//! empty string, an unknown parameter is only a warning, a batch whose every item failed is still a 200.

mod answer;
mod builder;
mod kubernetes_login;
mod params;
mod policy;
mod renewal;
mod routes;
mod state;
mod sys;
mod tokens;
mod transit;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use crate::encoding::lock;
use crate::error::{KeyError, StartError};
use crate::faults::Faults;
use crate::listener::Server;

pub use builder::VaultBuilder;
pub use kubernetes_login::{KubernetesAuth, KubernetesRole};
pub use policy::TokenPolicy;
pub use transit::{KeyType, UnknownKeyType};

use state::State;

/// A handle to a running Vault; clones mean the same server, which stops with the last of them.
#[derive(Clone)]
pub struct Vault {
    state: Arc<State>,
    server: Arc<Server>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Vault {
    /// Starts an unsealed Vault on a free loopback port, without TLS, with a transit engine at `transit`.
    ///
    /// # Errors
    /// [`StartError`] if no port can be had.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Starts one with other settings.
    pub fn builder() -> VaultBuilder {
        VaultBuilder::default()
    }

    /// The base URL, without a trailing slash and without `/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The certificate authority to trust, if the server speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.server.ca_pem()
    }

    /// The root token: it may do everything and never expires.
    #[must_use]
    pub fn root_token(&self) -> String {
        self.state.root_token.clone()
    }

    /// Creates a token with these rights and this lifetime.
    #[must_use]
    pub fn create_token(&self, policy: &TokenPolicy) -> String {
        self.state.tokens.create(policy)
    }

    /// Revokes a token: it is answered 403 from now on.
    pub fn revoke_token(&self, token: &str) {
        self.state.tokens.revoke(token);
    }

    /// Defines a role of the Kubernetes login, or replaces it.
    pub fn kubernetes_role(&self, role: &str, definition: KubernetesRole) {
        lock(&self.state.roles).insert(role.to_owned(), definition);
    }

    /// Deletes a role: logins with it are refused, and so are renewals of tokens that came from it.
    pub fn delete_kubernetes_role(&self, role: &str) {
        lock(&self.state.roles).remove(role);
    }

    /// Creates a key with one version. A key of this name that exists is kept, as in the original.
    ///
    /// # Errors
    /// [`KeyError::Generation`].
    pub fn create_key(&self, name: &str, key_type: KeyType) -> Result<(), KeyError> {
        self.state.keys.create(name, key_type, false).map(|_| ())
    }

    /// Adds a version to a key and returns its number.
    ///
    /// # Errors
    /// [`KeyError`] if there is no such key, or no new version can be made.
    pub fn rotate_key(&self, name: &str) -> Result<u64, KeyError> {
        self.state.keys.rotate(name)
    }

    /// Hides the versions below this one, and refuses to sign with them. Nothing is checked.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub fn set_min_decryption_version(&self, name: &str, version: u64) -> Result<(), KeyError> {
        self.state.keys.change(name, |key| key.min_decryption = version)
    }

    /// Refuses to sign with the versions below this one; 0 means no minimum. Nothing is checked.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub fn set_min_encryption_version(&self, name: &str, version: u64) -> Result<(), KeyError> {
        self.state.keys.change(name, |key| key.min_encryption = version)
    }

    /// Marks a key as deleted: still readable, but not used for signing.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub fn soft_delete_key(&self, name: &str) -> Result<(), KeyError> {
        self.state.keys.change(name, |key| key.soft_deleted = true)
    }

    /// Deletes a key for good, whatever its configuration says.
    pub fn delete_key(&self, name: &str) {
        self.state.keys.delete(name);
    }

    /// Changes when a version was created, to make it old (or too new) at once.
    ///
    /// # Errors
    /// [`KeyError`] if there is no such key or version.
    pub fn set_creation_time(&self, name: &str, version: u64, time: Timestamp) -> Result<(), KeyError> {
        self.state.keys.set_creation_time(name, version, time)
    }

    /// The public key of a version as the API shows it: raw base64 for Ed25519, PEM for the others.
    #[must_use]
    pub fn public_key(&self, name: &str, version: u64) -> Option<String> {
        self.state.keys.public_key(name, version)
    }

    /// The newest version of a key.
    #[must_use]
    pub fn latest_version(&self, name: &str) -> Option<u64> {
        self.state.keys.get(name).map(|key| key.latest())
    }

    /// Seals Vault (503 to everything), or unseals it.
    pub fn seal(&self, sealed: bool) {
        self.state.sealed.store(sealed, Ordering::Relaxed);
    }

    /// The faults of this server.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Changes every JSON answer before it is sent. The path comes without `/v1/` and without namespace.
    pub fn on_answer(&self, hook: impl FnMut(&Method, &str, &mut Value) + Send + 'static) {
        lock(&self.state.hooks).push(Box::new(hook));
    }

    /// Forgets all hooks.
    pub fn clear_hooks(&self) {
        lock(&self.state.hooks).clear();
    }

    /// How many requests were handled so far; those a fault answered are not among them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls_to("")
    }

    /// How many of them had a path that starts with this (`transit/sign`, say; no `/v1/`).
    #[must_use]
    pub fn calls_to(&self, path_prefix: &str) -> u64 {
        let calls = lock(&self.state.calls);
        calls.iter().filter(|(path, _)| path.starts_with(path_prefix)).map(|(_, count)| count).sum()
    }

    /// How many signatures were made so far; a batch counts each of its items.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.state.signatures.load(Ordering::Relaxed)
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

    /// Closes the port and all connections, with the requests that hang in them. The state stays, and the faults do: a
    /// client that repeats its request meets them after a restart again.
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
}
