//! The port to whatever holds the private key.

use std::{future::Future, sync::Arc};

use jiff::Timestamp;

use crate::{UpstreamError, health::Health, jwk::JwkSet, jws::CompactJws};

/// Signs claims with a key that never enters this process.
///
/// An implementation chooses the key version first, writes its `kid` into the header, has exactly that version sign,
/// and hands out nothing that it did not verify: `kid` and signature always come from one key version.
pub trait Signer: Send + Sync + 'static {
    /// Signs a JWT whose payload is these bytes of JSON.
    fn sign(
        &self,
        payload: &[u8],
        now: Timestamp,
    ) -> impl Future<Output = Result<CompactJws, UpstreamError>> + Send;

    /// The public keys that can verify a token alive at this time; `None` until they were read for the first time.
    fn published_keys(&self, now: Timestamp) -> Option<Arc<JwkSet>>;

    /// Whether the next signature is expected to succeed.
    fn health(&self) -> Health;
}
