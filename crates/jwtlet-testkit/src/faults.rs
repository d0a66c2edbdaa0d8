//! Faults on demand: what a remote service does on its bad days.
//!
//! A fault replaces the answer to a request. Which fault hits a request is decided in this order: those
//! counted out with [`Faults::next`] and [`Faults::next_on_path`], then the first matching [`Faults::on_path`],
//! then [`Faults::always`].

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::encoding::lock;

/// One way of not answering properly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A well-formed answer with this status, these headers and this body.
    Status {
        /// The status code.
        code: u16,
        /// Header names and values; `content-type` is sent only if it is among them.
        headers: Vec<(String, String)>,
        /// The body, sent as it is.
        body: String,
    },
    /// Status 200 (201 for a TokenReview) with an HTML page, as a misconfigured proxy sends it.
    Garbage,
    /// A JSON body cut in the middle: fewer bytes than `content-length` says, then the connection closes.
    Truncated,
    /// No answer, ever. The connection stays open until the server stops.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// Status 200 with a JSON string of this many bytes, sent in chunks without a `content-length`.
    Oversized(usize),
    /// Status 307 with this `location`.
    Redirect(String),
}

impl Fault {
    /// A bare status with an empty body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::status_with_body(code, "")
    }

    /// A status with a plain text body.
    #[must_use]
    pub fn status_with_body(code: u16, body: impl Into<String>) -> Self {
        Self::Status { code, headers: Vec::new(), body: body.into() }
    }

    /// A failure as the Kubernetes API server words it: a `Status` object.
    #[must_use]
    pub fn kubernetes(code: u16, reason: &str, message: &str) -> Self {
        Self::json(code, &crate::kubernetes::status_object(code, reason, message))
    }

    /// A failure as Vault words it: a list of errors.
    #[must_use]
    pub fn vault(code: u16, error: &str) -> Self {
        Self::json(code, &json!({ "errors": [error] }))
    }

    /// Status 429 with `retry-after`, in plain text as Kubernetes priority and fairness sends it.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::status_with_body(429, "Too many requests, please try again later.\n")
            .with_header("content-type", "text/plain; charset=utf-8")
            .with_header("retry-after", &retry_after.as_secs().to_string())
    }

    /// A status with a JSON body.
    #[must_use]
    pub fn json(code: u16, body: &serde_json::Value) -> Self {
        Self::status_with_body(code, body.to_string()).with_header("content-type", "application/json")
    }

    /// Adds a header, if this is a [`Fault::Status`].
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// The faults of one fake. All methods take effect with the next request.
#[derive(Debug, Default)]
pub struct Faults {
    plan: Mutex<Plan>,
    hanging: AtomicUsize,
}

#[derive(Debug, Default)]
struct Plan {
    latency: Duration,
    counted: VecDeque<Counted>,
    paths: Vec<(String, Fault)>,
    always: Option<Fault>,
}

#[derive(Debug)]
struct Counted {
    left: u32,
    prefix: String,
    fault: Fault,
}

/// What awaits one request.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Faults {
    /// Makes every request wait this long before it is handled.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.plan).latency = latency;
    }

    /// Lets the next `n` requests fail, whatever their path. Calls add up and are used in order.
    pub fn next(&self, n: u32, fault: Fault) {
        self.next_on_path(n, "", fault);
    }

    /// Lets the next `n` requests fail whose path starts with `prefix` (`/v1/transit/sign`, say).
    pub fn next_on_path(&self, n: u32, prefix: &str, fault: Fault) {
        lock(&self.plan).counted.push_back(Counted { left: n, prefix: prefix.to_owned(), fault });
    }

    /// Lets every request fail whose path starts with `prefix`.
    pub fn on_path(&self, prefix: &str, fault: Fault) {
        lock(&self.plan).paths.push((prefix.to_owned(), fault));
    }

    /// Lets every request fail.
    pub fn always(&self, fault: Fault) {
        lock(&self.plan).always = Some(fault);
    }

    /// Forgets all faults and the latency. Requests that already hang go on hanging.
    pub fn clear(&self) {
        *lock(&self.plan) = Plan::default();
    }

    /// How many requests hang at this moment.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.hanging.load(Ordering::Relaxed)
    }

    /// Counts one more request that hangs, until this is dropped.
    pub(crate) fn hang(&self) -> impl Drop + '_ {
        struct Hanging<'a>(&'a AtomicUsize);
        impl Drop for Hanging<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.hanging.fetch_add(1, Ordering::Relaxed);
        Hanging(&self.hanging)
    }

    pub(crate) fn fate_of(&self, path: &str) -> Fate {
        let mut plan = lock(&self.plan);
        plan.counted.retain(|counted| counted.left > 0);
        let counted =
            plan.counted.iter_mut().find(|counted| path.starts_with(&counted.prefix)).map(|counted| {
                counted.left -= 1;
                counted.fault.clone()
            });
        let fault = counted
            .or_else(|| {
                let (_, fault) = plan.paths.iter().find(|(prefix, _)| path.starts_with(prefix))?;
                Some(fault.clone())
            })
            .or_else(|| plan.always.clone());
        Fate { latency: plan.latency, fault }
    }
}
