//! The load of a profile: rounds of exchanges that the server sees all at once.
//!
//! Requests that arrive one by one would meet the server at another point each time, and make other batches. So the
//! process of the server is stopped while the requests of a round are sent, and finds all of them when it goes on. A round
//! ends when every one is answered.

use crate::{error::BenchError, keep_alive::KeepAlive, load::check, server::Server};

/// Rounds whose cost differs, because caches are filled and connections are made.
const WARM_UP: u32 = 2;

/// The connections to a server, each with the request that it sends.
pub(super) struct Rounds<'a> {
    server: &'a Server,
    connections: Vec<(KeepAlive, Vec<u8>)>,
}

impl<'a> Rounds<'a> {
    /// One connection for each request.
    pub(super) async fn open(server: &'a Server, requests: Vec<Vec<u8>>) -> Result<Self, BenchError> {
        let mut connections = Vec::with_capacity(requests.len());
        for request in requests {
            connections.push((KeepAlive::open(server.exchange).await?, request));
        }
        Ok(Self { server, connections })
    }

    /// Exchanges every token so often, after a warm-up.
    pub(super) async fn run(mut self, rounds: u32) -> Result<(), BenchError> {
        for _ in 0..WARM_UP + rounds {
            self.server.stop().await?;
            for (connection, request) in &mut self.connections {
                connection.write(request).await?;
            }
            self.server.resume().await?;
            for (connection, _) in &mut self.connections {
                check(&connection.answer().await?)?;
            }
        }
        Ok(())
    }
}
