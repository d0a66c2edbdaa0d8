//! The client side of HTTP/1.1 as far as the load needs it: one connection, one request after the other.
//!
//! On loopback a general client costs about as much CPU as the server that is measured beside it. This one sends bytes
//! that are made beforehand and reads status, `content-length` and body. Any other framing is an error and never read
//! as something else.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::error::BenchError;

/// Room for an ordinary answer.
const USUAL_BYTES: usize = 4096;
/// No answer is longer.
const MAX_BYTES: usize = 1024 * 1024;

/// One connection.
pub(crate) struct KeepAlive {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl KeepAlive {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address).await.map_err(BenchError::Connect)?;
        stream.set_nodelay(true).map_err(BenchError::Connect)?;
        Ok(Self { stream, received: Vec::with_capacity(USUAL_BYTES) })
    }

    /// Sends a request, head and body, and reads the whole answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>, BenchError> {
        self.write(request).await?;
        self.answer().await
    }

    /// Sends a request only.
    pub(crate) async fn write(&mut self, request: &[u8]) -> Result<(), BenchError> {
        self.stream.write_all(request).await.map_err(BenchError::Connection)
    }

    /// Reads the whole answer to the request that was sent last.
    pub(crate) async fn answer(&mut self) -> Result<Answer<'_>, BenchError> {
        self.received.clear();
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        let end = head.bytes + head.body_bytes;
        while self.received.len() < end {
            self.read().await?;
        }
        match self.received.get(head.bytes..) {
            Some(body) if body.len() == head.body_bytes => Ok(Answer { status: head.status, body }),
            _ => Err(BenchError::Framing("more than one answer to one request")),
        }
    }

    async fn read(&mut self) -> Result<(), BenchError> {
        if self.received.len() > MAX_BYTES {
            return Err(BenchError::Framing("an endless answer"));
        }
        match self.stream.read_buf(&mut self.received).await.map_err(BenchError::Connection)? {
            0 => Err(BenchError::Framing("an answer that ends too early")),
            _ => Ok(()),
        }
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Its own length, the empty line included.
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Reads a head in one pass; `None` while its end has not come yet.
    fn parse(received: &[u8]) -> Result<Option<Self>, BenchError> {
        let (mut status, mut body_bytes, mut bytes) = (None, None, 0);
        for line in received.split_inclusive(|byte| *byte == b'\n') {
            bytes += line.len();
            let Some(line) = line.strip_suffix(b"\r\n") else {
                return if line.ends_with(b"\n") { Err(BenchError::Framing("a bare LF")) } else { Ok(None) };
            };
            let Some(status) = status else {
                status = Some(status_code(line).ok_or(BenchError::Framing("no status line of HTTP/1.1"))?);
                continue;
            };
            if line.is_empty() {
                let body_bytes = body_bytes.filter(|bytes| *bytes <= MAX_BYTES);
                let body_bytes =
                    body_bytes.ok_or(BenchError::Framing("an answer without a usable content-length"))?;
                return Ok(Some(Self { status, bytes, body_bytes }));
            }
            if let Some(length) = content_length(line)
                && body_bytes.replace(length?).is_some()
            {
                return Err(BenchError::Framing("two lengths"));
            }
        }
        Ok(None)
    }
}

fn status_code(line: &[u8]) -> Option<u16> {
    std::str::from_utf8(line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

/// The length that this line tells, if it is the one that does.
fn content_length(line: &[u8]) -> Option<Result<usize, BenchError>> {
    const NAME: &[u8] = b"content-length";
    let (name, value) = line.split_at_checked(NAME.len())?;
    let value = value.strip_prefix(b":").filter(|_| name.eq_ignore_ascii_case(NAME))?;
    let length = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
    Some(length.ok_or(BenchError::Framing("a length that is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_a_status_and_a_length() {
        let head = b"HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 12\r\n\r\nbody";
        assert_eq!(
            Head::parse(head).unwrap(),
            Some(Head { status: 200, bytes: head.len() - 4, body_bytes: 12 })
        );
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\nx: y\r\n").unwrap(), None);
    }

    #[test]
    fn another_framing_is_an_error() {
        for head in [
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-lengths: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        ] {
            assert!(Head::parse(head.as_bytes()).is_err(), "{head}");
        }
    }
}
