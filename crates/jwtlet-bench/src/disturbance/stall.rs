//! Connections that keep the server waiting.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Counters, status};
use crate::{environment, error::BenchError, request::request};

/// Between two bytes, and after a connection could not be had.
const PAUSE: Duration = Duration::from_secs(1);
/// How many connections are being opened at a time: fewer than the usual backlog of a listener.
const OPENING: usize = 64;

/// Sends one byte of a request each second.
pub(super) fn slow(address: SocketAddr, token: &str, connections: usize, counters: &Arc<Counters>) {
    let request: Arc<[u8]> = request(address, token, &environment::scopes(1)).into();
    for connection in 0..connections {
        let (request, counters) = (Arc::clone(&request), Arc::clone(counters));
        let delay = PAUSE.mul_f64(fraction(connection, connections));
        tokio::spawn(async move {
            // Not all in the same moment.
            sleep(delay).await;
            loop {
                match drip(address, &request).await {
                    Ok(Some(status)) => counters.answered(status),
                    Ok(None) => counters.closed(),
                    Err(_) => sleep(PAUSE).await,
                }
            }
        });
    }
}

/// Opens connections and asks nothing; one that the server closes is opened again.
pub(super) async fn idle(
    address: SocketAddr,
    connections: usize,
    counters: &Arc<Counters>,
) -> Result<(), BenchError> {
    let mut opening = JoinSet::new();
    let mut left = connections;
    loop {
        while left > 0 && opening.len() < OPENING {
            opening.spawn(TcpStream::connect(address));
            left -= 1;
        }
        let Some(opened) = opening.join_next().await else {
            return Ok(());
        };
        let stream = opened.map_err(|_| BenchError::Nothing)?.map_err(BenchError::Connect)?;
        tokio::spawn(hold(address, stream, Arc::clone(counters)));
    }
}

async fn hold(address: SocketAddr, mut stream: TcpStream, counters: Arc<Counters>) {
    loop {
        // Nothing but the end can come.
        let _ = stream.read(&mut [0]).await;
        counters.closed();
        stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => sleep(PAUSE).await,
            }
        };
    }
}

/// The status of the answer; `None` when the server closes the connection without one.
async fn drip(address: SocketAddr, request: &[u8]) -> std::io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut start = [0; "HTTP/1.1 408".len()];
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let drops = async {
        for byte in request {
            ticks.tick().await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        // What the server makes of it is told by the reading side.
        std::future::pending().await
    };
    tokio::select! {
        read = reader.read_exact(&mut start) => Ok(read.ok().and_then(|_| status(&start))),
        never = drops => never,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of connections are small")]
fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
