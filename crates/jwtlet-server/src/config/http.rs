//! The tables `[http]` and `[tls]`: how both ports treat their clients.

use std::{num::NonZero, path::PathBuf, time::Duration};

use super::{check, reader::Reader};

/// Beyond the ten thousand idle ones that a port bears easily.
const MAX_CONNECTIONS: usize = 20_000;

const CERT_FILE: &str = "tls.cert_file";
const KEY_FILE: &str = "tls.key_file";
const CLIENT_CA_FILE: &str = "tls.client_ca_file";

/// The `[http]` table.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// How many threads answer exchanges; `None` for one less than CPUs.
    pub worker_threads: Option<NonZero<usize>>,
    /// How long a TLS handshake may take, and the head of a request from its first byte on.
    pub header_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How many connections each port has at most.
    pub max_connections: usize,
    /// How long new connections are still accepted after the signal to stop.
    pub shutdown_delay: Duration,
}

/// The `[tls]` table.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate chain, the server's own first.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Whose certificates the clients of the management API must have; `None` asks for none.
    pub client_ca_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> HttpConfig {
    let worker_threads = reader.optional("http.worker_threads", |given| given.integer(1, 1024));
    let header_timeout =
        reader.with_default("http.header_timeout", check::seconds(10), |given| given.duration(1, 300));
    let idle_timeout =
        reader.with_default("http.idle_timeout", check::seconds(60), |given| given.duration(1, 3_600));
    let max_connections =
        reader.with_default("http.max_connections", MAX_CONNECTIONS, |given| given.integer(1, 1_000_000));
    let shutdown_delay =
        reader.with_default("http.shutdown_delay", check::seconds(0), |given| given.duration(0, 300));
    let worker_threads = worker_threads.and_then(NonZero::new);
    HttpConfig { worker_threads, header_timeout, idle_timeout, max_connections, shutdown_delay }
}

/// `None` also when a problem was noted.
pub(super) fn read_tls(reader: &mut Reader) -> Option<TlsConfig> {
    let cert_file = reader.optional(CERT_FILE, |given| given.parse(check::path));
    let key_file = reader.optional(KEY_FILE, |given| given.parse(check::path));
    let client_ca_file = reader.optional(CLIENT_CA_FILE, |given| given.parse(check::path));
    let is_wanted = cert_file.is_some() || key_file.is_some() || client_ca_file.is_some();
    for (path, is_missing) in [(CERT_FILE, cert_file.is_none()), (KEY_FILE, key_file.is_none())] {
        if is_wanted && is_missing {
            reader.problem(path, "is missing; TLS needs a certificate and its key");
        }
    }
    Some(TlsConfig { cert_file: cert_file?, key_file: key_file?, client_ca_file })
}
