//! What happens on one connection, as far as its time limits need to know.
//!
//! Hyper would start a timer for the head of every request. Here a request costs a few stores to memory of its own
//! connection, and one timer for each connection looks at them now and then.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The longest beginning of a connection that is looked at before it is known what is spoken.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The signs of life of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Changes whenever a request begins and bytes are written. Only the connection's own task changes it.
    steps: AtomicUsize,
    /// Handlers that have not answered yet.
    running: AtomicUsize,
    /// A request was made.
    is_used: AtomicBool,
    /// Bytes were read since the last head was complete.
    is_unread: AtomicBool,
}

impl Activity {
    fn step(&self) {
        self.steps.store(self.steps.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn steps(&self) -> usize {
        self.steps.load(Relaxed)
    }

    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Relaxed)
    }

    /// A handler is at work: how long that may take is the handler's business.
    pub(super) fn is_answering(&self) -> bool {
        self.running.load(Relaxed) > 0
    }

    /// Something was read that is no complete head yet, or the rest of a body that nobody wanted.
    pub(super) fn is_reading(&self) -> bool {
        self.is_unread.load(Relaxed) && !self.is_answering()
    }

    /// The head of a request is complete. Its handler is at work until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.step();
        self.is_used.store(true, Relaxed);
        self.is_unread.store(false, Relaxed);
        self.running.fetch_add(1, Relaxed);
        Running(Arc::clone(self))
    }
}

/// A handler at work.
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        // What was read meanwhile was the body.
        self.0.is_unread.store(false, Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
    }
}

/// A stream that tells what happens on it, and hands out again what was read to find out the protocol.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    start: [u8; PREFACE.len()],
    /// How much of the start was read.
    read: usize,
    /// How much of it was handed out.
    given: usize,
}

impl<S: AsyncRead + Unpin> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, start: [0; PREFACE.len()], read: 0, given: 0 }
    }

    /// Reads what the client sends first.
    pub(super) async fn begin(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.start[self.read..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.read += count;
                Ok(())
            }
        }
    }

    /// Reads on until it is known whether the client begins with HTTP/2.
    pub(super) async fn begins_with_http2(&mut self) -> io::Result<bool> {
        loop {
            let start = &self.start[..self.read];
            if !PREFACE.starts_with(start) || start == PREFACE {
                return Ok(start == PREFACE);
            }
            self.begin().await?;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.given < this.read {
            let count = (this.read - this.given).min(buffer.remaining());
            buffer.put_slice(&this.start[this.given..this.given + count]);
            this.given += count;
        } else {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
        }
        this.activity.is_unread.store(true, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.activity.step();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
