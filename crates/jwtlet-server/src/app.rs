//! The composition root: from a configuration to two running servers.
//!
//! Binding comes first and contacts nothing, so a wrong port stops the start and an absent Kubernetes, Vault or
//! database does not. The upstream systems are then contacted in the background until they answer, and readiness follows.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum_server::Handle;
use jwtlet_core::{Exchange, exchange::TokenProfile};
use jwtlet_kubernetes::KubernetesVerifier;
use jwtlet_store::Store;
use jwtlet_vault::VaultSigner;
use tokio::{net::TcpSocket, sync::Mutex, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower::{make::Shared, service_fn};
use tracing::{info, warn};

use crate::{
    config::Config,
    http::{self, Api, Service},
};

/// How long running requests may take to finish after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// [`AppError::Bind`].
    pub fn bind(config: Config) -> Result<Self, AppError> {
        for warning in &config.warnings {
            warn!("{warning}");
        }
        let exchange = bind("exchange", SocketAddr::new(config.bind, config.token_exchange_port))?;
        let management = bind("management", SocketAddr::new(config.bind, config.management_port))?;
        let issuer = config.issuer.unwrap_or_else(|| format!("http://localhost:{}", exchange.address.port()));
        let profile = TokenProfile {
            issuer,
            cluster_issuer: config.cluster_issuer,
            client_audience: config.token.client_audience,
            default_audience: config.token.audience,
            ttl_secs: config.token.ttl_secs,
            claim_rules: config.token.claim_rules,
        };
        let verifier = KubernetesVerifier::new(config.kubernetes);
        let signer = VaultSigner::new(&config.vault);
        let store = Store::open(config.storage);
        let service = Arc::new(Service {
            exchange: Exchange::new(verifier, store, signer, profile),
            management_audience: config.management_audience,
            roles: config.roles,
            review: Mutex::default(),
            apply: Mutex::default(),
        });
        info!(address = %exchange.address, "the exchange API is bound");
        info!(address = %management.address, "the management API is bound");
        Ok(Self { exchange, management, service })
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
        let mut background = JoinSet::new();
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.verifier().monitor().await });
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.signer().run().await });
        let service = Arc::clone(&self.service);
        background.spawn(async move { service.exchange.store().run().await });

        let mut servers = JoinSet::new();
        let exchange = http::exchange_api(Arc::clone(&self.service));
        servers.spawn(serve(self.exchange.socket, exchange, stop.clone()));
        servers.spawn(serve(self.management.socket, http::management_api(self.service), stop.clone()));
        let mut outcome = Ok(());
        while let Some(ended) = servers.join_next().await {
            // One server without the other is of no use: the first to end stops both.
            stop.cancel();
            let ended = ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            outcome = outcome.and(ended.map_err(AppError::Serve));
        }
        outcome
    }
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

async fn serve(socket: std::net::TcpListener, api: Api, stop: CancellationToken) -> io::Result<()> {
    let handle = Handle::new();
    // HTTP/1.1 only: to tell it from HTTP/2 takes a first byte, for which a silent connection could wait for ever.
    let mut server = axum_server::from_tcp(socket)?
        .handle(handle.clone())
        .http1_only()
        .accept_error_handler(|_, error| warn!(%error, "a connection was not accepted"));
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT).writev(false);
    let serving = server.serve(Shared::new(service_fn(move |request| api.clone().answer(request))));
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = stop.cancelled() => handle.graceful_shutdown(Some(DRAIN)),
    }
    serving.await
}
