//! Settings of a [`Kubernetes`] before it starts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::cluster::{Cluster, State};
use super::keys::{IssuerKey, foreign_key};
use super::{Kubernetes, REVIEWER, key, routes};
use crate::encoding::lock;
use crate::error::{KeyError, StartError};
use crate::faults::Faults;
use crate::listener::Bound;

const DEFAULT_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Settings of a [`Kubernetes`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing listens until `start`"]
pub struct KubernetesBuilder {
    address: Option<SocketAddr>,
    tls: bool,
    issuer: Option<String>,
}

impl KubernetesBuilder {
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

    /// The issuer of service account tokens, and thereby the audience of the API server.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// [`StartError`] if the address cannot be bound, or no key or certificate can be made.
    pub async fn start(self) -> Result<Kubernetes, StartError> {
        let keys =
            tokio::task::spawn_blocking(|| Ok::<_, KeyError>((IssuerKey::generate()?, foreign_key()?)));
        let (issuer_key, foreign_key) = keys.await.map_err(|_| KeyError::Generation)??;
        let bound = Bound::bind(self.address, self.tls).await?;
        let issuer = self.issuer.unwrap_or_else(|| DEFAULT_ISSUER.to_owned());
        let faults = Arc::new(Faults::default());
        let state = Arc::new(State {
            url: bound.url(),
            api_audiences: vec![issuer.clone()],
            issuer,
            issuer_key,
            foreign_key,
            admin_token: Uuid::new_v4().simple().to_string(),
            cluster: Mutex::new(Cluster::default()),
            faults: Arc::clone(&faults),
            hooks: Mutex::new(Vec::new()),
            reviews: AtomicU64::new(0),
            reviews_by_token: Mutex::new(HashMap::new()),
        });
        let server = Arc::new(bound.serve(routes::router(Arc::clone(&state)), faults));
        let kubernetes = Kubernetes { state, server };

        kubernetes.create_service_account(REVIEWER, REVIEWER);
        let (token, id) = kubernetes.mint_reviewer_token();
        let mut cluster = lock(&kubernetes.state.cluster);
        cluster.reviewers.insert(key(REVIEWER, REVIEWER));
        cluster.reviewer_token = token;
        cluster.reviewer_token_id = id;
        drop(cluster);
        Ok(kubernetes)
    }
}
