//! How far a long call is: a bar on a terminal, nothing anywhere else.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use indicatif::{ProgressBar, ProgressStyle};

/// How much of a body is handed over at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A bar on standard error. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(ProgressBar::new(0))
    }

    fn begin(&self, length: u64, template: &str, message: String) {
        // The default style stays if this one were malformed.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_message(message);
        self.0.set_length(length);
        self.0.set_position(0);
        self.0.enable_steady_tick(Duration::from_millis(100));
    }

    /// So many files will be read.
    pub(crate) fn reading(&self, files: usize) {
        let length = u64::try_from(files).unwrap_or(u64::MAX);
        self.begin(length, "{msg} {wide_bar} {pos}/{len}", "reading files".to_owned());
    }

    /// One of them is read.
    pub(crate) fn read(&self) {
        self.0.inc(1);
    }

    /// What will be sent next, and done with it.
    pub(crate) fn next(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// A body that shows how much of it is sent, and then how long the server takes.
    pub(crate) fn sending(&self, body: Bytes) -> reqwest::Body {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        self.begin(length, "{msg} {wide_bar} {percent:>3} % sent  {elapsed}", self.0.message());
        reqwest::Body::wrap(Counted { rest: body, bar: self.0.clone() })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A body that counts what is taken of it.
struct Counted {
    rest: Bytes,
    bar: ProgressBar,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(length);
        self.bar.inc(u64::try_from(length).unwrap_or(u64::MAX));
        if self.rest.is_empty()
            && let Ok(style) =
                ProgressStyle::with_template("{spinner} {msg}: the server works on it  {elapsed}")
        {
            self.bar.set_style(style);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
