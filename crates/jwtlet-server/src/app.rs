//! The composition root: from a configuration to two running servers.
//!
//! Binding comes first and contacts nothing, so a wrong port stops the start and an absent Kubernetes, Vault or
//! database does not. The upstream systems are then contacted in the background until they answer, and readiness follows.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use jwtlet_core::{Exchange, exchange::TokenProfile};
use jwtlet_kubernetes::KubernetesVerifier;
use jwtlet_store::Store;
use jwtlet_vault::VaultSigner;
use tokio::{net::TcpSocket, sync::Mutex, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admission::Admission,
    config::{Config, HttpConfig},
    http::{self, Service},
    limits::{Limiter, Sources},
    metrics::{ApiName, Metrics},
    serve::{Certificate, Lifecycle, Server, Timeouts, Tls},
    threads::ManagementThread,
};

pub use crate::serve::TlsError;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The process cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A port is taken, or the address is not this host's.
    #[error("cannot listen on {address} for the {api} API")]
    Bind {
        /// Which API.
        api: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The certificates cannot be used.
    #[error("TLS cannot be served")]
    Tls(#[from] TlsError),
    /// A server stopped by itself.
    #[error("the HTTP server failed")]
    Serve(#[source] io::Error),
}

/// A bound service: its addresses are known and connections wait, but nothing is served yet.
#[derive(Debug)]
pub struct App {
    exchange: Listener,
    management: Listener,
    service: Arc<Service>,
    http: HttpConfig,
    tls: Option<Tls>,
    lifecycle: Arc<Lifecycle>,
}

#[derive(Debug)]
struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl App {
    /// Binds both ports. No other system is contacted. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`AppError::Bind`] and [`AppError::Tls`].
    pub fn bind(mut config: Config) -> Result<Self, AppError> {
        for warning in &config.warnings {
            warn!("{warning}");
        }
        let tls = config.tls.take().map(Tls::load).transpose()?;
        let exchange = bind("exchange", SocketAddr::new(config.bind, config.token_exchange_port))?;
        let management = bind("management", SocketAddr::new(config.bind, config.management_port))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let own_issuer = format!("{scheme}://localhost:{}", exchange.address.port());
        let http = config.http.clone();
        let certificate_expiry = tls.as_ref().map(Tls::expiry);
        let service = Arc::new(Service { certificate_expiry, ..compose(config, own_issuer) });
        let lifecycle = Arc::clone(&service.lifecycle);
        info!(address = %exchange.address, "the exchange API is bound");
        info!(address = %management.address, "the management API is bound");
        Ok(Self { exchange, management, service, http, tls, lifecycle })
    }

    /// The address of the exchange API.
    #[must_use]
    pub fn exchange_address(&self) -> SocketAddr {
        self.exchange.address
    }

    /// The address of the management API.
    #[must_use]
    pub fn management_address(&self) -> SocketAddr {
        self.management.address
    }

    /// Serves until told to stop, then lets running requests finish for 30 seconds at most.
    ///
    /// # Errors
    /// [`AppError::Serve`] when a server stops by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AppError> {
        let certificate = |of: fn(&Tls) -> Certificate| self.tls.as_ref().map(of);
        let exchange = self.server(ApiName::Exchange, certificate(Tls::exchange));
        let management = self.server(ApiName::Management, certificate(Tls::management));
        let mut background = JoinSet::new();
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.verifier().kubernetes().monitor().await });
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.signer().run().await });
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.store().run().await });
        if let Some(tls) = self.tls {
            background.spawn(tls.follow_files());
        }
        background.spawn(leave(stop.clone(), Arc::clone(&self.lifecycle), self.http.shutdown_delay));

        let mut servers = JoinSet::new();
        let api = http::exchange_api(Arc::clone(&self.service));
        servers.spawn(
            exchange.run(self.exchange.socket, move |request, peer| api.clone().answer(request, peer.ip())),
        );
        let api = http::management_api(self.service);
        let thread = ManagementThread::start().map_err(AppError::Serve)?;
        servers.spawn_on(
            management
                .run(self.management.socket, move |request, peer| api.clone().answer(request, peer.ip())),
            thread.handle(),
        );
        let mut outcome = Ok(());
        while let Some(ended) = servers.join_next().await {
            // One server without the other is of no use: the first to end stops both.
            self.lifecycle.leaving.enter();
            self.lifecycle.closing.enter();
            let ended = ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            outcome = outcome.and(ended.map_err(AppError::Serve));
        }
        outcome
    }

    fn server(&self, api: ApiName, certificate: Option<Certificate>) -> Server {
        let timeouts = Timeouts { header: self.http.header_timeout, idle: self.http.idle_timeout };
        let census = self.service.metrics.connections(api);
        Server::new(Arc::clone(&self.lifecycle), timeouts, self.http.max_connections, certificate, census)
    }
}

/// Leads the servers to their end, once they are told to stop.
async fn leave(stop: CancellationToken, lifecycle: Arc<Lifecycle>, delay: Duration) {
    stop.cancelled().await;
    lifecycle.leaving.enter();
    if !delay.is_zero() {
        info!(seconds = delay.as_secs(), "stopping: no longer ready, and about to close");
        sleep(delay).await;
    }
    lifecycle.closing.enter();
}

/// Joins the ports; `own_issuer` is for a configuration that names none.
fn compose(config: Config, own_issuer: String) -> Service {
    let profile = TokenProfile {
        issuer: config.issuer.unwrap_or(own_issuer),
        cluster_issuer: config.cluster_issuer,
        client_audience: config.token.client_audience,
        default_audience: config.token.audience,
        ttl_secs: config.token.ttl_secs,
        claim_rules: Arc::new(config.token.claim_rules),
    };
    let clients = config.limits.client.map(Limiter::new);
    let verifier = Admission::new(KubernetesVerifier::new(config.kubernetes), clients);
    let signer = VaultSigner::new(&config.vault);
    let store = Store::open(config.storage);
    Service {
        exchange: Exchange::new(verifier, store, signer, profile),
        management_audience: config.management_audience,
        roles: config.roles,
        review: Mutex::default(),
        apply: Mutex::default(),
        lifecycle: Arc::default(),
        metrics: Metrics::default(),
        sources: config.limits.source.map(|rate| Arc::new(Sources::new(rate, config.limits.proxies))),
        max_connections: config.http.max_connections,
        certificate_expiry: None,
    }
}

/// A service whose neighbours do not exist.
#[cfg(test)]
pub(crate) fn service_of_a_test() -> Service {
    let variables = [
        ("JWTLET__K8S__API_SERVER_URL", "https://kubernetes.invalid"),
        ("JWTLET__K8S__CLUSTER_ISSUER", "https://cluster.invalid"),
        ("JWTLET__TOKEN__CLIENT_AUDIENCE", "jwtlet"),
        ("JWTLET__TOKEN__AUDIENCE", "service"),
        ("JWTLET__VAULT__URL", "https://vault.invalid"),
        ("JWTLET__VAULT__TOKEN", "token-of-a-test"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    compose(Config::load(None, &variables).unwrap(), "http://localhost".to_owned())
}

fn bind(api: &'static str, address: SocketAddr) -> Result<Listener, AppError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?.into_std()?;
        let address = socket.local_addr()?;
        Ok(Listener { socket, address })
    };
    listen().map_err(|cause| AppError::Bind { api, address, cause })
}
