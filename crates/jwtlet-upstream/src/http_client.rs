//! A bounded HTTP client with explicit trust.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Certificate, Client, Identity, RequestBuilder, Response, redirect::Policy};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::de::DeserializeOwned;
use tracing::{Instrument, field::Empty, info, trace_span, warn};

use crate::{
    statistics::{Calls, Failure, failure_of},
    trace,
};

/// How long the certificates of a CA file are used without looking at the file.
const CA_MAX_AGE: Duration = Duration::from_mins(1);

/// No answer of another system that is wanted is longer, in bytes: a key with a hundred RSA versions stays below a tenth of it.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// How a system is reached.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Whether the system is reached over TLS.
    pub tls: bool,
    /// A PEM file with the only certificate authorities to trust; the system's own are trusted when this is not set,
    /// or when the file does not exist and `ca_file_optional` is set.
    pub ca_file: Option<PathBuf>,
    /// Whether a CA file that does not exist means the system's certificate authorities.
    pub ca_file_optional: bool,
    /// What is shown to a server that asks for a certificate of its clients.
    pub client_certificate: Option<ClientCertificate>,
    /// The most time that opening a connection may take.
    pub connect_timeout: Duration,
    /// The most time that a whole call may take, the connection included.
    pub request_timeout: Duration,
}

/// The certificate of a client, and its private key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// A PEM file with the certificate, and after it those that lead to its authority.
    pub cert_file: PathBuf,
    /// A PEM file with the private key.
    pub key_file: PathBuf,
}

impl ClientCertificate {
    fn read(&self) -> Result<Identity, HttpError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|cause| HttpError::ReadClientCertificate { path: path.clone(), cause })
        };
        let both =
            SecretSlice::from([read(&self.key_file)?, b"\n".to_vec(), read(&self.cert_file)?].concat());
        // The parser's reason could quote a part of the key.
        Identity::from_pem(both.expose_secret()).map_err(|_| HttpError::UnusableClientCertificate {
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
        })
    }
}

/// Why there is no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The CA file cannot be read.
    #[error("cannot read the CA file {path}")]
    ReadCa {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The CA file holds no certificates.
    #[error("the CA file {path} holds no usable PEM certificate")]
    UnusableCa {
        /// The file.
        path: PathBuf,
        /// Why, where the parser says so.
        #[source]
        cause: Option<reqwest::Error>,
    },
    /// The client's certificate or its key cannot be read.
    #[error("cannot read {path}")]
    ReadClientCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The client's certificate and its key are none.
    #[error("{cert_file} holds no certificate in PEM format, or {key_file} no private key")]
    UnusableClientCertificate {
        /// The file of the certificate.
        cert_file: PathBuf,
        /// The file of the key.
        key_file: PathBuf,
    },
    /// The client could not be set up.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
    /// No answer within the time limit.
    #[error("no complete answer within the time limit")]
    TimedOut(#[source] reqwest::Error),
    /// No connection, or one that broke.
    #[error("the call failed")]
    Transport(#[source] reqwest::Error),
    /// More than jwtlet reads.
    #[error("the answer is longer than what is read of one")]
    TooLong,
    /// Not the JSON that was expected. The body is not kept: it may hold a token.
    #[error("the answer is not the expected JSON (line {line}, column {column})")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_timeout() { Self::TimedOut(error) } else { Self::Transport(error) }
    }
}

/// An answer with its whole body. `Debug` does not show the body, which may hold a token.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer that was read as a whole.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body }
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON of this form.
    ///
    /// # Errors
    /// [`HttpError::NotJson`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        // All of it: the parser looks at the characters of what it keeps only.
        let text = str::from_utf8(&self.body).map_err(|error| {
            let good = self.body[..error.valid_up_to()].split(|byte| *byte == b'\n');
            let last = good.clone().next_back().unwrap_or_default();
            HttpError::NotJson { line: good.count(), column: last.len() + 1 }
        })?;
        serde_json::from_str(text)
            .map_err(|error| HttpError::NotJson { line: error.line(), column: error.column() })
    }
}

/// A client for one system. Connections are kept alive and reused; a CA file is read again every minute.
#[derive(Debug)]
pub struct HttpClient {
    settings: HttpSettings,
    state: Mutex<Option<State>>,
    calls: Calls,
    failure: fn(&Answer) -> Option<Failure>,
}

#[derive(Debug)]
struct State {
    client: Client,
    ca: Option<Vec<u8>>,
    checked_at: Instant,
}

impl HttpClient {
    /// Names the settings; the CA file is read with the first call, so that starting does not depend on it.
    #[must_use]
    pub fn new(settings: HttpSettings) -> Self {
        let by_status = |answer: &Answer| Failure::of_status(answer.status);
        Self { settings, state: Mutex::new(None), calls: Calls::default(), failure: by_status }
    }

    /// With another rule for which answers count as failures than their status alone.
    #[must_use]
    pub fn counting_as_failure(self, failure: fn(&Answer) -> Option<Failure>) -> Self {
        Self { failure, ..self }
    }

    /// What became of the calls so far.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The client to build a request with.
    ///
    /// # Errors
    /// A CA file that cannot be used, when none could be used before.
    pub fn get(&self) -> Result<Client, HttpError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = state.as_mut() else {
            let ca = self.read_ca()?;
            let client = self.build(ca.as_deref())?;
            *state = Some(State { client: client.clone(), ca, checked_at: Instant::now() });
            return Ok(client);
        };
        if known.checked_at.elapsed() >= CA_MAX_AGE {
            known.checked_at = Instant::now();
            if let Err(error) = self.refresh(known) {
                warn!(
                    error = jwtlet_core::upstream::chain(&error),
                    "the last good certificate authorities stay in use"
                );
            }
        }
        Ok(known.client.clone())
    }

    /// Sends a request and reads the whole answer, of whatever status.
    ///
    /// # Errors
    /// [`HttpError::TimedOut`], [`HttpError::Transport`], [`HttpError::TooLong`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, HttpError> {
        self.send_for(request, MAX_ANSWER_BYTES).await
    }

    /// The same for an answer of at most so many bytes.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn send_for(&self, request: RequestBuilder, max_bytes: usize) -> Result<Answer, HttpError> {
        let started = Instant::now();
        let span = trace_span!(target: trace::TARGET, "call", otel.kind = "client", http.response.status_code = Empty);
        let outcome = exchange(request, max_bytes).instrument(span.clone()).await;
        if let Ok(answer) = &outcome {
            span.record("http.response.status_code", answer.status.as_u16());
        }
        self.calls.ended(started.elapsed(), failure_of(&outcome, self.failure));
        outcome
    }

    fn refresh(&self, known: &mut State) -> Result<(), HttpError> {
        let ca = self.read_ca()?;
        if ca != known.ca {
            known.client = self.build(ca.as_deref())?;
            known.ca = ca;
            info!("the CA file has changed; its certificate authorities are in use");
        }
        Ok(())
    }

    fn read_ca(&self) -> Result<Option<Vec<u8>>, HttpError> {
        let Some(path) = self.settings.ca_file.as_ref().filter(|_| self.settings.tls) else {
            return Ok(None);
        };
        match fs::read(path) {
            Ok(pem) => Ok(Some(pem)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.settings.ca_file_optional => {
                Ok(None)
            }
            Err(cause) => Err(HttpError::ReadCa { path: path.clone(), cause }),
        }
    }

    fn build(&self, ca: Option<&[u8]>) -> Result<Client, HttpError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sets up clients")]
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("jwtlet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.settings.connect_timeout)
            .timeout(self.settings.request_timeout)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(90));
        if let Some(pem) = ca {
            builder = builder.tls_certs_only(self.certificates(pem)?);
        } else if !self.settings.tls {
            // Without this the system's store is opened even for plain HTTP, and an image may not have one.
            builder = builder.tls_certs_only([]);
        }
        if let Some(certificate) = self.settings.client_certificate.as_ref().filter(|_| self.settings.tls) {
            builder = builder.identity(certificate.read()?);
        }
        builder.build().map_err(HttpError::Build)
    }

    fn certificates(&self, pem: &[u8]) -> Result<Vec<Certificate>, HttpError> {
        let unusable =
            |cause| HttpError::UnusableCa { path: self.settings.ca_file.clone().unwrap_or_default(), cause };
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| unusable(Some(error)))?;
        if certificates.is_empty() { Err(unusable(None)) } else { Ok(certificates) }
    }
}

async fn exchange(request: RequestBuilder, max_bytes: usize) -> Result<Answer, HttpError> {
    let mut response = request.headers(trace::handed_on()).send().await?;
    let body = read_body(&mut response, max_bytes).await?;
    Ok(Answer::new(response.status(), std::mem::take(response.headers_mut()), body))
}

async fn read_body(response: &mut Response, max_bytes: usize) -> Result<Bytes, HttpError> {
    let too_long = |length: usize| length > max_bytes;
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, too_long)) {
        return Err(HttpError::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if too_long(body.len() + chunk.len()) {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The time that an answer asks to be left alone, where it says so in seconds (RFC 9110 §10.2.3).
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u32 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// A header value with a secret in it, marked so that no layer below prints it or keeps it in a compression table.
#[must_use]
pub fn sensitive_header(prefix: &str, secret: &SecretString) -> Option<HeaderValue> {
    let text = SecretString::from(format!("{prefix}{}", secret.expose_secret()));
    let mut value = HeaderValue::from_str(text.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    fn json(body: &'static [u8]) -> Result<Vec<IgnoredAny>, HttpError> {
        Answer::new(StatusCode::OK, HeaderMap::new(), Bytes::from_static(body)).json()
    }

    #[test]
    fn json_is_utf8_also_where_nobody_looks() {
        assert_eq!(json(b"[\"\xc3\xa4\", 1]").unwrap().len(), 2);
        let error = json(b"[1,\n \"a\xff\"]").unwrap_err();
        assert!(matches!(error, HttpError::NotJson { line: 2, column: 4 }), "{error:?}");
        assert!(matches!(json(b"[1,\n").unwrap_err(), HttpError::NotJson { line: 2, .. }));
    }
}
