//! Processes of the server over one database, killed and started again while others call them.

use std::collections::BTreeMap;

use jwtlet_testkit::wait_for;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::{
    harness::{Answer, EXCHANGE_AUDIENCE, MANAGEMENT_AUDIENCE, PATIENCE},
    program::{Neighbours, Program, address, is_ready},
};

/// Where policy is kept: variables of a process.
pub(crate) type Storage = BTreeMap<&'static str, String>;

pub(crate) fn sqlite(path: &std::path::Path) -> Storage {
    let path = path.display().to_string();
    [("JWTLET__STORAGE_BACKEND__TYPE", "sqlite".into()), ("JWTLET__STORAGE_BACKEND__PATH", path)].into()
}

pub(crate) fn postgres(url: &str) -> Storage {
    [("JWTLET__STORAGE_BACKEND__TYPE", "postgres".into()), ("JWTLET__STORAGE_BACKEND__URL", url.into())]
        .into()
}

pub(crate) fn client() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// A process that was ready. It is killed when this is dropped, as `kill -9` does.
pub(crate) struct Replica {
    pub(crate) program: Program,
    pub(crate) exchange: String,
    pub(crate) management: String,
    http: Client,
    pub(crate) subject_token: String,
    admin_token: String,
}

impl Replica {
    pub(crate) async fn start(neighbours: &Neighbours, storage: &Storage) -> Self {
        let program = Program::start(Program::command().arg(neighbours.config(0, 0)).envs(storage));
        let exchange = address(&program, "exchange").await;
        let management = address(&program, "management").await;
        let http = client();
        let is_ready = wait_for(async || is_ready(&http, &exchange).await, PATIENCE).await;
        assert!(is_ready.is_ok(), "{}", program.err());
        let token = |namespace, name, audience: &str| {
            neighbours.kubernetes.token(namespace, name).audience(audience).mint()
        };
        Self {
            program,
            exchange,
            management,
            http,
            subject_token: token("demo", "connector", EXCHANGE_AUDIENCE),
            admin_token: token("ops", "admin", MANAGEMENT_AUDIENCE),
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.management));
        let request = request.bearer_auth(&self.admin_token);
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(crate) async fn exchange(&self, context: &str) -> Answer {
        Answer::of(exchange_request(&self.http, &self.exchange, &self.subject_token, context)).await
    }

    /// The lines of `/readyz` on the management port.
    pub(crate) async fn readiness(&self) -> Answer {
        Answer::of(self.http.get(format!("{}/readyz", self.management))).await
    }

    pub(crate) async fn wait_until_ready(&self) {
        let is_ready = wait_for(async || is_ready(&self.http, &self.exchange).await, PATIENCE).await;
        assert!(is_ready.is_ok(), "{}", self.program.err());
    }

    pub(crate) async fn wait_until_not_ready(&self) {
        wait_for(async || self.readiness().await.status == 503, PATIENCE).await.unwrap();
    }
}

/// An exchange for this participant context, not sent yet.
pub(crate) fn exchange_request(
    http: &Client,
    exchange: &str,
    subject_token: &str,
    context: &str,
) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
        .append_pair("subject_token", subject_token)
        .append_pair("resource", context)
        .finish();
    let request = http.post(format!("{exchange}/token"));
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}
