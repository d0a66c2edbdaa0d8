//! One connection from its first byte to its end.
//!
//! Nothing is set up for a client before it sends something: a silent connection is a small task and a timer. Then comes
//! the TLS handshake, if there is one, and what the client speaks: HTTP/2 when ALPN agreed on it or when the client begins
//! with it, HTTP/1.1 otherwise.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, Version, header},
};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Settings,
    activity::{Activity, Watched},
    lifecycle::Lifecycle,
    limits::{Limit, Limits},
};

/// A part of a connection that has room of its own.
type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The largest head of a request, and the most of a body that waits for its handler.
const BUFFER_BYTES: u32 = 64 * 1024;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// What the clients of one HTTP/2 connection may send before somebody reads it.
const CONNECTION_WINDOW_BYTES: u32 = 4 * BUFFER_BYTES;

/// How long a client that has just connected may still begin, once the server is closing.
const LAST_CHANCE: Duration = Duration::from_millis(200);

/// Serves one client until one of the two has enough.
pub(super) async fn serve<A, F>(stream: TcpStream, peer: SocketAddr, settings: Arc<Settings>, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    // Small frames and records would wait for the client's delayed acknowledgements.
    if stream.set_nodelay(true).is_ok() && first(&settings, stream.readable()).await.is_some() {
        open(stream, peer, &settings, answer).await;
    }
}

/// What a client sends first, for which it has as much time as it may be idle.
async fn first<T>(settings: &Settings, reading: impl Future<Output = io::Result<T>>) -> Option<T> {
    let mut reading = pin!(timeout(settings.timeouts.idle, reading));
    let read = tokio::select! {
        biased;
        read = &mut reading => read,
        () = settings.lifecycle.closing.entered() => timeout(LAST_CHANCE, reading).await.ok()?,
    };
    read.ok()?.ok()
}

/// What comes after the first byte: in a box, so that a silent connection takes no room for it, and made by a function that
/// is not `async`, because such a one would keep room for what it puts into a box.
fn open<A, F>(stream: TcpStream, peer: SocketAddr, settings: &Settings, answer: A) -> Boxed<'_>
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    match &settings.certificate {
        None => Box::pin(speak(stream, false, peer, settings, answer)),
        Some(certificate) => {
            let acceptor = TlsAcceptor::from(certificate.load_full());
            Box::pin(async move {
                let handshake = timeout(settings.timeouts.header, acceptor.accept(stream));
                // One that fails is between the client and its certificates.
                if let Ok(Ok(stream)) = handshake.await {
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    speak(stream, is_http2, peer, settings, answer).await;
                }
            })
        }
    }
}

/// Finds out what the client speaks, unless the handshake agreed on HTTP/2, and speaks it.
async fn speak<S, A, F>(stream: S, is_http2: bool, peer: SocketAddr, settings: &Settings, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let mut stream = Watched::new(stream, Arc::clone(&activity));
    let Some(()) = first(settings, stream.begin()).await else { return };
    let start = timeout(settings.timeouts.header, stream.begins_with_http2()).await;
    let Ok(Ok(begins_with_http2)) = start else { return };
    let (lifecycle, watched) = (Arc::clone(&settings.lifecycle), Arc::clone(&activity));
    let service = service_fn(move |request: Request<Incoming>| {
        let running = watched.begin();
        let is_http1 = request.version() < Version::HTTP_2;
        let lifecycle = Arc::clone(&lifecycle);
        // In a box of its own: hyper keeps the room of the last request for as long as the connection lives.
        let answering = Box::pin(answer(request, peer));
        async move {
            let mut response = answering.await?;
            drop(running);
            if is_http1 && lifecycle.leaving.is_entered() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(stream);
    let is_http2 = is_http2 || begins_with_http2;
    let watch = Watch {
        lifecycle: &settings.lifecycle,
        activity: &activity,
        limits: Limits::new(settings.timeouts, !is_http2),
        is_http2,
    };
    if is_http2 {
        speak_http2(io, service, watch, settings).await;
    } else {
        watch.drive(pin!(settings.http1.serve_connection(io, service))).await;
    }
}

/// In another box: few clients need it, and it is larger than all the rest.
fn speak_http2<'a, I, S>(io: I, service: S, watch: Watch<'a>, settings: &'a Settings) -> Boxed<'a>
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    Box::pin(async move { watch.drive(pin!(settings.http2.serve_connection(io, service))).await })
}

/// Who decides when a connection ends.
struct Watch<'a> {
    lifecycle: &'a Lifecycle,
    activity: &'a Activity,
    limits: Limits,
    is_http2: bool,
}

impl Watch<'_> {
    /// Whether the client is to be told that this connection comes to its end. The first request of a new connection was
    /// sent in good faith and is answered before.
    fn is_over(&self) -> bool {
        let is_used = self.activity.is_used();
        // Answers of HTTP/1.1 say so themselves while the server is leaving, and an idle connection need not close yet.
        (self.is_http2 && is_used && self.lifecycle.leaving.is_entered())
            || ((self.is_http2 || is_used) && self.lifecycle.closing.is_entered())
    }

    /// Lets a connection live until it ends by itself, is over, or reaches a limit.
    async fn drive<C: GracefulConnection>(mut self, mut connection: Pin<&mut C>) {
        let mut leaving = pin!(self.lifecycle.leaving.entered());
        let mut closing = pin!(self.lifecycle.closing.entered());
        let mut is_waiting = false;
        let mut is_ending = false;
        poll_fn(|cx| {
            // A stage wakes the task; until then a flag says so more cheaply than the future.
            if !is_waiting {
                is_waiting = true;
                let _ = (leaving.as_mut().poll(cx), closing.as_mut().poll(cx));
            }
            loop {
                if !is_ending && self.is_over() {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                if !is_ending && self.is_over() {
                    continue;
                }
                match self.limits.poll_reached(self.activity, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Limit::Idle) if !is_ending => {
                        is_ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}

pub(super) fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Heads have a limit in `limits`, which costs no timer for each request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES as usize)
        .writev(false);
    builder
}

pub(super) fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(BUFFER_BYTES)
        .initial_stream_window_size(BUFFER_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES as usize);
    builder
}
