//! One call to Vault.
//!
//! Redirects are not followed: the token header would go along to whatever host the answer names. A standby node that
//! redirects is an outage for jwtlet; `vault.url` has to name a node that forwards, or the active one.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jwtlet_upstream::{Answer, Calls, Failure, HttpClient, HttpSettings, sensitive_header};
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use tracing::warn;

use crate::{VaultSettings, error::VaultError, refusal::Refusal, wire::Envelope};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// A Vault agent that guards against forged requests from browsers wants it; a server ignores it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// What is asked. It can be sent again as it is.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// Without `/v1/`, as in a policy.
    pub(crate) path: &'a str,
    /// What a policy has to allow for it.
    pub(crate) capability: &'static str,
    body: Option<Bytes>,
}

impl<'a> Call<'a> {
    /// A read.
    pub(crate) fn read(path: &'a str) -> Self {
        Self { path, capability: "read", body: None }
    }

    /// A write of this body.
    pub(crate) fn write(path: &'a str, body: &impl Serialize) -> Self {
        // The bodies are structs of strings and numbers, which always serialise; Vault refuses an empty body.
        Self::write_json(path, serde_json::to_vec(body).unwrap_or_default().into())
    }

    /// A write of a body that is JSON already.
    pub(crate) fn write_json(path: &'a str, body: Bytes) -> Self {
        Self { path, capability: "update", body: Some(body) }
    }
}

/// Speaks with one Vault in one namespace.
#[derive(Debug)]
pub(crate) struct Client {
    http: HttpClient,
    base: String,
    namespace: Option<HeaderValue>,
    last_warnings: Mutex<Vec<String>>,
}

impl Client {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        let url = settings.url.trim_end_matches('/');
        let http = HttpClient::new(HttpSettings {
            tls: url.starts_with("https:"),
            ca_file: settings.ca_file.clone(),
            ca_file_optional: false,
            client_certificate: None,
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
        })
        .counting_as_failure(failure);
        let namespace = settings.namespace.as_ref();
        Self {
            http,
            base: format!("{url}/v1/"),
            // A checked namespace has only characters that a header may carry.
            namespace: namespace.and_then(|namespace| HeaderValue::from_str(namespace.as_str()).ok()),
            last_warnings: Mutex::default(),
        }
    }

    /// What became of the calls so far.
    pub(crate) fn calls(&self) -> &Calls {
        self.http.calls()
    }

    /// Sends a call; a status that is not a success is an error.
    pub(crate) async fn send(
        &self,
        call: &Call<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer, VaultError> {
        let url = format!("{}{}", self.base, call.path);
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request =
            self.http.get()?.request(method, url).header(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = token {
            request = request.header(TOKEN, sensitive_header("", token).ok_or(VaultError::UnsendableToken)?);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(body) = &call.body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(header::CONTENT_TYPE, json).body(body.clone());
        }
        let answer = self.http.send(request).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(answer),
            _ => Err(VaultError::refused(call, &answer)),
        }
    }

    /// The content of an answer.
    pub(crate) fn content<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        answer: &Answer,
    ) -> Result<Envelope<T>, VaultError> {
        let envelope: Envelope<T> = answer.json()?;
        self.log_warnings(call, envelope.warnings.as_deref().unwrap_or_default());
        Ok(envelope)
    }

    /// Logs warnings, but not the same ones with each signature.
    fn log_warnings(&self, call: &Call<'_>, warnings: &[String]) {
        if warnings.is_empty() {
            return;
        }
        let mut last = self.last_warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != warnings {
            warn!(path = call.path, ?warnings, "Vault warns");
            *last = warnings.to_vec();
        }
    }
}

/// What an answer counts as. A sealed Vault has no status of its own, and standby nodes have some that HTTP does not know.
fn failure(answer: &Answer) -> Option<Failure> {
    match answer.status.as_u16() {
        503 if Refusal::of(answer).is_about_seal() => Some(Failure::Sealed),
        472 | 473 => Some(Failure::Unavailable),
        _ => Failure::of_status(answer.status),
    }
}
