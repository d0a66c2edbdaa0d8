//! One port of one server.

use std::{
    error::Error as StdError,
    io::{self, Write},
    net::IpAddr,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use jwtlet_upstream::{HttpClient, HttpError, HttpSettings, sensitive_header};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{VERSION, credentials::Token, error::Error, output::Progress, port::Port, text::printable};

/// No answer that is read as a whole is longer, in bytes, where a call says nothing else.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    method: Method,
    /// Below the address of the API, with the query.
    path: &'a str,
    token: Option<&'a Token>,
    content: Option<(&'static str, Vec<u8>)>,
    if_match: Option<&'a str>,
    max_answer_bytes: usize,
    progress: Option<&'a Progress>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            token: None,
            content: None,
            if_match: None,
            max_answer_bytes: MAX_ANSWER_BYTES,
            progress: None,
        }
    }

    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn token(self, token: &'a Token) -> Self {
        Self { token: Some(token), ..self }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self { content: Some(("application/json", body.to_string().into_bytes())), ..self }
    }

    pub(crate) fn form(self, body: String) -> Self {
        Self { content: Some(("application/x-www-form-urlencoded", body.into_bytes())), ..self }
    }

    pub(crate) fn if_match(self, tag: Option<&'a str>) -> Self {
        Self { if_match: tag, ..self }
    }

    /// Reads a longer answer than usual.
    pub(crate) fn max_answer_bytes(self, max_answer_bytes: usize) -> Self {
        Self { max_answer_bytes, ..self }
    }

    /// Shows how much of the body is sent.
    pub(crate) fn progress(self, progress: &'a Progress) -> Self {
        Self { progress: Some(progress), ..self }
    }
}

/// An answer. Its body may hold a token, so there is no `Debug`.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) url: String,
    pub(crate) request_id: String,
    answer: jwtlet_upstream::Answer,
}

impl Reply {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.answer.headers
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.answer.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.answer.body()).into_owned()
    }

    /// The body as JSON of this form.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.answer.json().map_err(|source| Error::Nonsense { url: self.url.clone(), source })
    }

    /// The version of the server, where it says so.
    pub(crate) fn version(&self) -> Option<String> {
        Some(printable(self.header(header::SERVER)?.strip_prefix("jwtlet-server/")?))
    }

    /// Whether the server is older than this command, or does not tell.
    pub(crate) fn may_be_older(&self) -> bool {
        self.version().is_none_or(|version| is_older(&version, VERSION))
    }
}

/// Whether the first version is lower; builds and candidates of a version are that version.
fn is_older(version: &str, than: &str) -> bool {
    let numbers = |version: &str| {
        let numbers = version.split(['-', '+']).next()?.split('.');
        numbers.map(|number| number.parse::<u64>().ok()).collect::<Option<Vec<_>>>()
    };
    numbers(version).zip(numbers(than)).is_some_and(|(version, than)| version < than)
}

/// One port of one server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) port: Port,
    base: String,
    http: HttpClient,
    verbose: bool,
}

impl Endpoint {
    pub(crate) fn new(port: Port, base: Url, http: HttpSettings, verbose: bool) -> Self {
        let base = String::from(base).trim_end_matches('/').to_owned();
        Self { port, base, http: HttpClient::new(http), verbose }
    }

    /// Its address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.base).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Sends a request and reads the answer, of whatever status.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Reply, Error> {
        let url = format!("{}{}", self.base, call.path);
        let request_id = Uuid::new_v4().simple().to_string();
        let client = self.http.get().map_err(|error| self.not_sent(error))?;
        let mut request = client.request(call.method.clone(), &url).header("x-request-id", &request_id);
        if let Some(token) = call.token
            && let Some(value) = sensitive_header("Bearer ", &token.expose().into())
        {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some((content_type, body)) = call.content {
            request = request.header(header::CONTENT_TYPE, content_type);
            request = match call.progress {
                Some(progress) => request.body(progress.sending(Bytes::from(body))),
                None => request.body(body),
            };
        }
        if let Some(tag) = call.if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        let started = Instant::now();
        let outcome = self.http.send_for(request, call.max_answer_bytes).await;
        let shown = printable(&url);
        self.trace(&call.method, &shown, outcome.as_ref().ok(), started, &request_id);
        let answer = outcome.map_err(|error| self.not_sent(error))?;
        Ok(Reply { status: answer.status.as_u16(), url: shown, request_id, answer })
    }

    fn trace(
        &self,
        method: &Method,
        url: &str,
        answer: Option<&jwtlet_upstream::Answer>,
        started: Instant,
        request_id: &str,
    ) {
        if !self.verbose {
            return;
        }
        let status = answer.map_or("no answer".to_owned(), |answer| answer.status.as_u16().to_string());
        let millis = started.elapsed().as_millis();
        // Standard error may be closed; then nobody wants to know.
        let _ = writeln!(io::stderr(), "{method} {url}: {status} in {millis} ms (request {request_id})");
    }

    fn not_sent(&self, source: HttpError) -> Error {
        let (port, url) = (self.port, self.base.clone());
        match &source {
            HttpError::ReadCa { .. } | HttpError::UnusableCa { .. } => Error::Authorities { source },
            HttpError::Build(cause) => {
                // The key of another certificate shows only here.
                match tls_failure(cause) {
                    Some(rustls::Error::InconsistentKeys(_)) => Error::ClientCertificate { source },
                    _ => Error::Authorities { source },
                }
            }
            HttpError::ReadClientCertificate { .. } | HttpError::UnusableClientCertificate { .. } => {
                Error::ClientCertificate { source }
            }
            HttpError::TimedOut(_) => Error::TimedOut { port, url, source },
            HttpError::Transport(cause) => match tls_failure(cause) {
                Some(rustls::Error::InvalidMessage(_)) => Error::NotTls { url, source },
                // What the server says of this side's certificate: that of the other side is judged here.
                Some(rustls::Error::AlertReceived(_)) => Error::NotAccepted { url, source },
                Some(_) => Error::Untrusted { url, source },
                None => Error::Unreachable { port, url, source },
            },
            HttpError::TooLong | HttpError::NotJson { .. } => Error::Nonsense { url, source },
        }
    }
}

/// The TLS failure behind a transport failure. An `io::Error` hides what it carries from `source()`.
fn tls_failure<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, than, older) in [
            ("0.9.0", "0.10.0", true),
            ("0.10.0", "0.9.0", false),
            ("1.0.0", "1.0.0", false),
            ("1.0.0-rc.1", "1.0.0", false),
            ("next", "1.0.0", false),
        ] {
            assert_eq!(is_older(version, than), older, "{version} {than}");
        }
    }
}
