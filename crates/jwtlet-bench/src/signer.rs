//! The Vault of a measurement: that of the testkit, or a real OpenBao.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method};
use jwtlet_testkit::OpenBao;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    client::{Connection, post_json},
    environment::KEY,
    error::BenchError,
    fakes::Neighbours,
    scenario::VaultKind,
};

/// How often the round trip is measured; the median counts.
const ROUND_TRIPS: usize = 31;
/// About what is signed for a token with one scope.
const MESSAGE_BYTES: usize = 500;

/// Where the server signs.
pub(crate) struct Signer {
    pub(crate) url: String,
    pub(crate) token: String,
    openbao: Option<OpenBao>,
}

impl Signer {
    pub(crate) async fn start(kind: VaultKind, neighbours: &Neighbours) -> Result<Self, BenchError> {
        if kind == VaultKind::Testkit {
            let (url, token) = (neighbours.vault_url.clone(), neighbours.vault_token.clone());
            return Ok(Self { url, token, openbao: None });
        }
        let openbao = OpenBao::start().await?;
        openbao.root(Method::POST, &format!("transit/keys/{KEY}"), &json!({"type": "ed25519"})).await?;
        let policy = format!(
            r#"path "transit/sign/{KEY}" {{ capabilities = ["update"] }}
               path "transit/keys/{KEY}" {{ capabilities = ["read"] }}"#
        );
        let token = openbao.create_token(&policy).await?;
        Ok(Self { url: openbao.url(), token, openbao: Some(openbao) })
    }

    /// The process id of the real one.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.openbao.as_ref().map(OpenBao::process_id)
    }

    /// How long a call for so many signatures takes with nobody else asking: the latency that was set, the signatures,
    /// and the call itself.
    pub(crate) async fn round_trip(&self, signatures: usize) -> Result<Duration, BenchError> {
        let address: SocketAddr =
            self.url.trim_start_matches("http://").parse().map_err(|_| BenchError::Mute("the Vault"))?;
        let mut connection = Connection::open(address).await?;
        let token = HeaderValue::try_from(&self.token).map_err(http::Error::from)?;
        let messages = vec![json!({"input": STANDARD.encode([0; MESSAGE_BYTES])}); signatures];
        let body = json!({"batch_input": messages, "key_version": 1, "marshaling_algorithm": "jws"});
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let mut request = post_json(address, &format!("/v1/transit/sign/{KEY}"), &body)?;
            request.headers_mut().insert("x-vault-token", token.clone());
            let started = Instant::now();
            let (status, body) = connection.send(request).await?;
            times.push(started.elapsed());
            if !status.is_success() {
                let body = String::from_utf8_lossy(&body).into_owned();
                return Err(BenchError::Refused { call: "the signatures for the round trip", status, body });
            }
        }
        times.sort_unstable();
        times.get(ROUND_TRIPS / 2).copied().ok_or(BenchError::Nothing)
    }
}
