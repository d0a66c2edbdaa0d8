//! The one outgoing call: Vault asking an API server for a TokenReview.
//!
//! Written on hyper itself, so that the library brings no HTTP client into what depends on it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: usize = 1024 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

/// Where to send a request, and as whom.
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    pub(crate) ca_pem: Option<&'a str>,
    pub(crate) bearer: &'a str,
}

/// Sends JSON and returns the JSON of an answer in the 200s.
pub(crate) async fn post_json(target: &Target<'_>, path: &str, body: &Value) -> Result<Value, Failure> {
    timeout(PATIENCE, exchange(target, path, body)).await?
}

async fn exchange(target: &Target<'_>, path: &str, body: &Value) -> Result<Value, Failure> {
    let uri: Uri = target.url.parse()?;
    let host = uri.host().ok_or("the URL has no host")?;
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let request = Request::post(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", target.bearer))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    if tls {
        let connector = TlsConnector::from(Arc::new(trusting(target.ca_pem)?));
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        send(TokioIo::new(connector.connect(name, stream).await?), request).await
    } else {
        send(TokioIo::new(stream), request).await
    }
}

async fn send(
    io: impl Read + Write + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Value, Failure> {
    let (mut sender, connection) = http1::handshake(io).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await?.to_bytes();
    connection.abort();
    if !status.is_success() {
        return Err(io::Error::other(format!("answered {status}")).into());
    }
    Ok(serde_json::from_slice(&body)?)
}

fn trusting(ca_pem: Option<&str>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.unwrap_or_default().as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
