//! Requests to the management port, by what was asked for and how it was answered.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{Method, StatusCode};

/// The route of what no route matches.
pub(crate) const NO_ROUTE: &str = "none";

/// A kind of request. None of it is what a caller wrote: a route is a template, and methods are those that exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) route: String,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

/// Counts of requests. There are few of them, so a lock will do.
#[derive(Debug, Default)]
pub(crate) struct ManagementCalls(Mutex<BTreeMap<Kind, u64>>);

impl ManagementCalls {
    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, method: &Method, status: StatusCode) {
        let kind = Kind { route: route.to_owned(), method: known_method(method), status: status.as_u16() };
        *self.lock().entry(kind).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Vec<(Kind, u64)> {
        self.lock().iter().map(|(kind, count)| (kind.clone(), *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}
