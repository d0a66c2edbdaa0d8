//! Requests that are refused, one after the other on each connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{Counters, status};
use crate::{environment, error::BenchError, keep_alive::KeepAlive, request::request};

/// The pause after a connection could not be had.
const PAUSE: Duration = Duration::from_millis(10);
/// More than any request may have.
const OVERSIZE_BYTES: usize = 1024 * 1024;

/// Sends tokens whose signature is another one each time.
pub(super) fn junk(
    address: SocketAddr,
    token: &str,
    connections: usize,
    counters: &Arc<Counters>,
) -> Result<(), BenchError> {
    let request = request(address, token, &environment::scopes(1));
    let signature = token.rsplit('.').next().unwrap_or_default();
    let at = find(&request, signature.as_bytes()).ok_or(BenchError::Mute("the fakes"))?;
    for connection in 0..connections {
        let mut request = request.clone();
        let mut turn = 0_u64;
        let next = move || {
            turn += 1;
            // Digits are letters of base64url as well.
            let changed = format!("{connection:04}{turn:012}");
            request.iter_mut().skip(at).zip(changed.bytes()).for_each(|(byte, new)| *byte = new);
            request.clone()
        };
        tokio::spawn(again_and_again(address, next, Arc::clone(counters)));
    }
    Ok(())
}

/// Sends the same token, which has expired.
pub(super) fn expired(address: SocketAddr, token: &str, connections: usize, counters: &Arc<Counters>) {
    let request = request(address, token, &environment::scopes(1));
    for _ in 0..connections {
        let request = request.clone();
        tokio::spawn(again_and_again(address, move || request.clone(), Arc::clone(counters)));
    }
}

/// Sends bodies in one chunk of a megabyte, on a new connection each time.
pub(super) fn oversize(address: SocketAddr, connections: usize, counters: &Arc<Counters>) {
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         transfer-encoding: chunked\r\n\r\n{OVERSIZE_BYTES:x}\r\n"
    );
    let body = "x".repeat(OVERSIZE_BYTES);
    let request: Arc<[u8]> = format!("{head}{body}\r\n0\r\n\r\n").into_bytes().into();
    for _ in 0..connections {
        let (request, counters) = (Arc::clone(&request), Arc::clone(counters));
        tokio::spawn(async move {
            loop {
                match refused_upload(address, &request).await {
                    Ok(Some(status)) => counters.answered(status),
                    Ok(None) => counters.closed(),
                    Err(_) => sleep(PAUSE).await,
                }
            }
        });
    }
}

async fn again_and_again(address: SocketAddr, mut next: impl FnMut() -> Vec<u8>, counters: Arc<Counters>) {
    loop {
        let Ok(mut connection) = KeepAlive::open(address).await else {
            sleep(PAUSE).await;
            continue;
        };
        while let Ok(answer) = connection.send(&next()).await {
            counters.answered(answer.status);
        }
        counters.closed();
    }
}

/// The status of the answer; `None` when the connection broke before it could be read, which is what happens to a client
/// that goes on sending after it was refused.
async fn refused_upload(address: SocketAddr, request: &[u8]) -> std::io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut reader, mut writer) = stream.split();
    let mut start = [0; "HTTP/1.1 413".len()];
    tokio::select! {
        read = reader.read_exact(&mut start) => Ok(read.ok().and_then(|_| status(&start))),
        // The answer is awaited even when all was sent.
        never = async { let _ = writer.write_all(request).await; std::future::pending().await } => never,
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() { None } else { text.windows(part.len()).position(|window| window == part) }
}
