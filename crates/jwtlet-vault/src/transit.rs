//! The transit engine: the key that it holds and what it signs with it.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use jwtlet_core::jws::SigningInput;

use crate::{
    VaultSettings,
    error::VaultError,
    key_ring::KeyRing,
    key_version::KeyVersion,
    keys::Keys,
    session::Session,
    sign_answer::Results,
    sign_calls::{SignCalls, Signatures},
};

/// What is signed to learn whether signing works. It is not of the form of a JWS signing input, so its signature is
/// good for nothing else.
const TRIAL: &[u8] = b"jwtlet asks whether it may sign";

#[derive(Debug)]
pub(crate) struct Transit {
    pub(crate) session: Session,
    pub(crate) keys: Keys,
    calls: SignCalls,
}

impl Transit {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        Self { session: Session::new(settings), keys: Keys::new(settings), calls: SignCalls::new(settings) }
    }

    /// What is known of the key; `None` until it was read for the first time.
    pub(crate) fn ring(&self) -> Option<Arc<KeyRing>> {
        self.keys.ring()
    }

    /// The version that signs at this time.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<Arc<KeyVersion>> {
        self.ring()?.signing(now).cloned()
    }

    /// Reads the key.
    pub(crate) async fn refresh(&self) -> Result<Arc<KeyRing>, Arc<VaultError>> {
        self.keys.refresh(&self.session).await
    }

    /// Reads the key because a signature was refused, unless it was read since then.
    pub(crate) async fn refresh_after(&self, failure: Instant) -> Result<Arc<KeyRing>, Arc<VaultError>> {
        self.keys.refresh_after(&self.session, failure).await
    }

    /// Asks for signatures of one version for these messages. None of them is verified.
    pub(crate) async fn ask(
        &self,
        version: &KeyVersion,
        inputs: &[SigningInput],
    ) -> Result<Results, VaultError> {
        self.calls.ask(&self.session, version, inputs).await
    }

    /// The signatures that may be handed out, of an answer for these messages.
    pub(crate) async fn verified(
        &self,
        version: &KeyVersion,
        inputs: &[SigningInput],
        results: Results,
    ) -> Signatures {
        self.calls.verified(version, inputs, results).await
    }

    /// Has the oldest version that may sign do it. Reading the key and signing are different rights, so only a signature
    /// shows that exchanges will succeed.
    pub(crate) async fn try_out(&self, ring: &KeyRing) -> Result<(), VaultError> {
        match ring.oldest() {
            Some(version) => self.calls.try_out(&self.session, version, TRIAL).await,
            None => Ok(()),
        }
    }
}
