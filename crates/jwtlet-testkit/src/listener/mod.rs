//! The server both fakes run on: it owns the port, counts connections, and applies [`Faults`].
//!
//! Connections are served by hyper directly and not through a framework's `serve`, because a fault may have
//! to close the connection under a request.

mod faulty;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::delay::delay;
use crate::encoding::lock;
use crate::error::StartError;
use crate::faults::{Fault, Faults};
use crate::tls::ServerIdentity;

/// A bound port that does not answer yet: its address is known before the routes are made.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<ServerIdentity>,
}

/// A server that can be stopped and started again on its port. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    router: Router,
    faults: Arc<Faults>,
    tls: Option<ServerIdentity>,
    connections: AtomicU64,
    trace_parents: Mutex<VecDeque<String>>,
}

/// So many of the last trace contexts are kept.
const KEPT_TRACE_PARENTS: usize = 100;

impl Shared {
    fn note(&self, headers: &HeaderMap) {
        let Some(Ok(context)) = headers.get("traceparent").map(HeaderValue::to_str) else { return };
        let mut kept = lock(&self.trace_parents);
        if kept.len() == KEPT_TRACE_PARENTS {
            kept.pop_front();
        }
        kept.push_back(context.to_owned());
    }
}

impl Bound {
    /// Binds `address`, or any free loopback port.
    pub(crate) async fn bind(address: Option<SocketAddr>, tls: bool) -> Result<Self, StartError> {
        let listener = listen(address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Bind { address: (Ipv4Addr::LOCALHOST, 0).into(), source })?;
        let tls = tls.then(ServerIdentity::generate).transpose()?;
        Ok(Self { listener, address, tls })
    }

    pub(crate) fn url(&self) -> String {
        url(self.address, self.tls.is_some())
    }

    /// Begins to answer.
    pub(crate) fn serve(self, router: Router, faults: Arc<Faults>) -> Server {
        let shared = Arc::new(Shared {
            address: self.address,
            router,
            faults,
            tls: self.tls,
            connections: AtomicU64::new(0),
            trace_parents: Mutex::default(),
        });
        let running = Running::start(self.listener, &shared);
        Server { shared, running: Mutex::new(Some(running)) }
    }
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    pub(crate) fn url(&self) -> String {
        url(self.shared.address, self.shared.tls.is_some())
    }

    pub(crate) fn ca_pem(&self) -> Option<String> {
        self.shared.tls.as_ref().map(|tls| tls.ca_pem.clone())
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The `traceparent` headers of the last requests, the newest last.
    pub(crate) fn trace_parents(&self) -> Vec<String> {
        lock(&self.shared.trace_parents).iter().cloned().collect()
    }

    /// Closes the port and every connection, and returns when that is done.
    pub(crate) async fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.stop.cancel();
            running.tasks.close();
            running.tasks.wait().await;
        }
    }

    /// Opens the same port again. Stops first if still running.
    pub(crate) async fn restart(&self) -> Result<(), StartError> {
        self.stop().await;
        let listener = listen(self.shared.address).await?;
        *lock(&self.running) = Some(Running::start(listener, &self.shared));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = lock(&self.running).take() {
            running.stop.cancel();
        }
    }
}

impl Running {
    fn start(listener: TcpListener, shared: &Arc<Shared>) -> Self {
        let running = Self { stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let accepting = accept(listener, Arc::clone(shared), running.stop.clone(), running.tasks.clone());
        running.tasks.spawn(accepting);
        running
    }
}

fn url(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A failed accept concerns one client (or a passing shortage of descriptors), not the listener.
        if let Ok((stream, _)) = accepted {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(connection(stream, Arc::clone(&shared), stop.child_token()));
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, close: CancellationToken) {
    // Without this, small answers wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &shared.tls else {
        return serve(TokioIo::new(stream), shared, close).await;
    };
    let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
    let stream = tokio::select! {
        () = close.cancelled() => return,
        stream = handshake => stream,
    };
    if let Ok(stream) = stream {
        serve(TokioIo::new(stream), shared, close).await;
    }
}

async fn serve(
    io: impl Read + Write + Unpin + Send + 'static,
    shared: Arc<Shared>,
    close: CancellationToken,
) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared), close.clone()));
    let builder = Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection(io, service);
    tokio::select! {
        () = close.cancelled() => {}
        // How a connection ended is the client's concern; the fake goes on.
        _ = serving => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    close: CancellationToken,
) -> Result<Response, Infallible> {
    shared.note(request.headers());
    let fate = shared.faults.fate_of(request.uri().path());
    if !fate.latency.is_zero() {
        delay(fate.latency).await;
    }
    match fate.fault {
        None => shared.router.clone().oneshot(request.map(Body::new)).await,
        Some(Fault::Hang) => {
            let _hanging = shared.faults.hang();
            pending().await
        }
        Some(Fault::Close) => {
            close.cancel();
            pending().await
        }
        Some(fault) => Ok(faulty::response(fault, request.method(), request.uri().path())),
    }
}
