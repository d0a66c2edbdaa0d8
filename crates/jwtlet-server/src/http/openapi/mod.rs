//! The description of each API (OpenAPI 3.1), made of what its routes are made of.
//!
//! [`Routes`] is the one way to add a route, and it takes a route only together with its description. What is described of
//! bodies are the types that are read and written, and of parameters the tables that queries are checked by.

mod answer;
mod document;
mod operation;
mod parameter;

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::HeaderMap,
    routing::{MethodFilter, MethodRouter, on},
};
use utoipa::openapi::HttpMethod;

pub(super) use self::{
    answer::{Answer, Header, defect, text_header},
    document::{ANSWERED_REQUEST_ID, Api, Document, SERVER},
    operation::{MakeSchema, Operation, Schemas, any_of, many, named, one_or_many},
    parameter::QueryParameter,
};
use super::Service;

/// The routes of an API, each with its description.
pub(super) struct Routes {
    router: Router<Arc<Service>>,
    document: Document,
}

/// What answers one method of a path, and its description.
pub(super) struct Endpoint {
    method: HttpMethod,
    handler: MethodRouter<Arc<Service>>,
    operation: Operation,
}

impl Endpoint {
    fn new<H, T>(method: HttpMethod, filter: MethodFilter, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, Arc<Service>>,
        T: 'static,
    {
        Self { method, handler: on(filter, handler), operation }
    }

    /// An operation that something before the router answers. The router's part of its path is for all other methods.
    pub(super) fn before_router(
        method: HttpMethod,
        others: MethodRouter<Arc<Service>>,
        operation: Operation,
    ) -> Self {
        Self { method, handler: others, operation }
    }
}

macro_rules! endpoints {
    ($($name:ident, $method:ident, $filter:ident;)*) => {$(
        /// This method, answered by this handler.
        pub(super) fn $name<H, T>(handler: H, operation: Operation) -> Endpoint
        where
            H: Handler<T, Arc<Service>>,
            T: 'static,
        {
            Endpoint::new(HttpMethod::$method, MethodFilter::$filter, handler, operation)
        }
    )*};
}

endpoints! {
    get, Get, GET;
    post, Post, POST;
    put, Put, PUT;
    delete, Delete, DELETE;
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), document: Document::default() }
    }

    /// Adds a path with the methods that it has. `{name}` in it is a segment.
    pub(super) fn add<const N: usize>(mut self, path: &str, endpoints: [Endpoint; N]) -> Self {
        let mut methods = MethodRouter::new();
        for Endpoint { method, handler, operation } in endpoints {
            methods = methods.merge(handler);
            self.document.add(path, method, operation);
        }
        self.router = self.router.route(path, methods);
        self
    }

    /// Adds the routes of another as they are.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.document.extend("", other.document);
        self
    }

    /// Adds the routes of another below a path.
    pub(super) fn nest(mut self, path: &str, other: Self) -> Self {
        self.router = self.router.nest(path, other.router);
        self.document.extend(path, other.document);
        self
    }

    /// Lays something around the routes.
    pub(super) fn around(self, lay: impl FnOnce(Router<Arc<Service>>) -> Router<Arc<Service>>) -> Self {
        Self { router: lay(self.router), document: self.document }
    }

    /// The routes, and one more that answers with their document.
    pub(super) fn served(self, api: &Api) -> Router<Arc<Service>> {
        let (router, document) = self.finish();
        let served = Arc::new(document.serve(api));
        router.route(
            document::PATH,
            on(MethodFilter::GET, async move |headers: HeaderMap| served.answer(&headers)),
        )
    }

    /// The routes, and what describes them.
    pub(super) fn finish(self) -> (Router<Arc<Service>>, Document) {
        (self.router, self.document)
    }
}
