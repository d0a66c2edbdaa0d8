//! Serves HTTP on one port: an accept loop of our own over hyper.
//!
//! What it adds to hyper is what keeps a server alive among clients that are many, slow, silent or gone: a cap on
//! connections, limits of time that cost a request nothing, certificates that change while it runs, and an end at which no
//! request is lost. `docs/decisions/0007-own-accept-loop.md` says why it is not a library's.

mod activity;
mod connection;
mod lifecycle;
mod limits;
mod tls;

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::TokioExecutor;
use jwtlet_upstream::Counter;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{info, warn};

pub use self::tls::TlsError;
pub(crate) use self::{
    lifecycle::Lifecycle,
    tls::{Certificate, Expiry, Tls},
};

/// How long running requests may take to finish after the last stage began.
const DRAIN: Duration = Duration::from_secs(30);

/// The pause after a connection could not be accepted for a shortage of ours.
const PAUSE: Duration = Duration::from_millis(100);

/// How long clients may keep a connection waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For a TLS handshake, and for the head of a request from its first byte on.
    pub(crate) header: Duration,
    /// For nothing at all.
    pub(crate) idle: Duration,
}

/// The connections of one port, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Open ones.
    pub(crate) open: AtomicU64,
    /// Closed at once, because there were too many.
    pub(crate) turned_away: Counter,
}

/// A server of one port.
pub(crate) struct Server {
    settings: Arc<Settings>,
    max_connections: usize,
    census: Arc<Census>,
}

struct Settings {
    lifecycle: Arc<Lifecycle>,
    timeouts: Timeouts,
    certificate: Option<Certificate>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Server {
    pub(crate) fn new(
        lifecycle: Arc<Lifecycle>,
        timeouts: Timeouts,
        max_connections: usize,
        certificate: Option<Certificate>,
        census: Arc<Census>,
    ) -> Self {
        let (http1, http2) = (connection::http1(), connection::http2());
        let settings = Arc::new(Settings { lifecycle, timeouts, certificate, http1, http2 });
        Self { settings, max_connections, census }
    }

    /// Serves until the lifecycle says that the end has come, and what runs then has finished, or had 30 seconds.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub(crate) async fn run<A, F>(self, socket: std::net::TcpListener, answer: A) -> io::Result<()>
    where
        A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket)?;
        let mut connections =
            Connections { server: self, tasks: JoinSet::new(), refuses: false, fails: false };
        let closing = connections.server.settings.lifecycle.closing.entered();
        tokio::pin!(closing);
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                () = connections.one_ended() => {}
                accepted = listener.accept() => connections.take(accepted, &answer).await,
            }
        }
        // Whoever got through to the port before it closes is served.
        while let Poll::Ready(Ok(accepted)) = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await {
            connections.take(Ok(accepted), &answer).await;
        }
        drop(listener);
        connections.finish().await;
        Ok(())
    }
}

/// The connections of one port.
struct Connections {
    server: Server,
    tasks: JoinSet<()>,
    /// Whether the cap is reached.
    refuses: bool,
    /// Whether the last connection could not be accepted.
    fails: bool,
}

impl Connections {
    /// Ends when a connection has ended, which makes room.
    async fn one_ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            pending::<()>().await;
        }
        self.count();
    }

    fn count(&self) {
        self.server.census.open.store(self.tasks.len() as u64, Ordering::Relaxed);
    }

    async fn take<A, F>(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>, answer: &A)
    where
        A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        match accepted {
            Ok((stream, peer)) if self.tasks.len() < self.server.max_connections => {
                (self.refuses, self.fails) = (false, false);
                let settings = Arc::clone(&self.server.settings);
                self.tasks.spawn(connection::serve(stream, peer, settings, answer.clone()));
                self.count();
            }
            // Closed at once: the client, or the balancer before it, can try elsewhere.
            Ok(_) => {
                self.server.census.turned_away.increment();
                if !std::mem::replace(&mut self.refuses, true) {
                    warn!(
                        connections = self.tasks.len(),
                        "http.max_connections is reached: new connections are closed"
                    );
                }
            }
            // It was gone before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    warn!(%error, "connections cannot be accepted");
                }
                sleep(PAUSE).await;
            }
        }
    }

    async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN, all).await.is_err() {
            info!(connections = self.tasks.len(), "requests that did not finish in time are given up");
        }
        self.tasks.shutdown().await;
    }
}
