//! A client with one keep-alive connection, for the calls around a measurement.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::error::BenchError;

/// One connection. Requests on it follow each other.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address).await.map_err(BenchError::Connect)?;
        stream.set_nodelay(true).map_err(BenchError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ends shows at the sender.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), BenchError> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// A single call on a connection of its own that must be answered with `expected`.
pub(crate) async fn call(
    call: &'static str,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    expected: StatusCode,
) -> Result<Bytes, BenchError> {
    let (status, body) = Connection::open(address).await?.send(request).await?;
    if status == expected {
        return Ok(body);
    }
    Err(BenchError::Refused { call, status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A GET of this path.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Request<Full<Bytes>>, BenchError> {
    Ok(Request::get(path).header(header::HOST, address.to_string()).body(Full::default())?)
}

/// A POST of JSON to this path.
pub(crate) fn post_json(
    address: SocketAddr,
    path: &str,
    body: &Value,
) -> Result<Request<Full<Bytes>>, BenchError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request.body(Full::new(Bytes::from(body.to_string())))?)
}
