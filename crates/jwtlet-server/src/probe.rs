//! A question to the server of the same container, for runtimes without HTTP probes of their own: the image has neither
//! a shell nor a client that could ask.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use http::StatusCode;

use crate::Config;

/// Shorter than the time that a runtime gives a probe.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// What the server does not confirm.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The configuration leaves the port to the system, so nobody knows it.
    #[error("token_exchange_port is 0: a probe needs a port that is known")]
    UnknownPort,
    /// No answer.
    #[error("the server at {url} does not answer")]
    NoAnswer {
        /// Where it was asked.
        url: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An answer that says no.
    #[error("{url} answers {status}: {text}")]
    Negative {
        /// Where it was asked.
        url: String,
        /// The status.
        status: StatusCode,
        /// What the server says.
        text: String,
    },
}

/// Asks the server that runs with this configuration whether it is live, or ready.
///
/// # Errors
/// [`ProbeError`] if it does not say so.
pub async fn probe(config: &Config, ready: bool) -> Result<(), ProbeError> {
    if config.token_exchange_port == 0 {
        return Err(ProbeError::UnknownPort);
    }
    let address = SocketAddr::new(reachable(config.bind), config.token_exchange_port);
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}/{}", if ready { "readyz" } else { "livez" });
    let failed = |cause| ProbeError::NoAnswer { url: url.clone(), cause };
    #[expect(
        clippy::disallowed_methods,
        reason = "one call to this very host, which trusts nobody and carries no secret"
    )]
    let builder = reqwest::Client::builder();
    // As the kubelet does: the certificate names the service, not this host.
    let client = builder
        .no_proxy()
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .timeout(TIME_LIMIT)
        .build();
    let answer = client.map_err(failed)?.get(&url).send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let text = answer.text().await.map_err(failed)?.trim_end().to_owned();
    Err(ProbeError::Negative { url, status, text })
}

/// An address of this host on which a server that is bound like this hears.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
