//! The signing key in Vault: read, made when it is missing, and kept at hand.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    KeyName, VaultSettings,
    client::Call,
    error::{Refusal, VaultError},
    key_ring::{KeyRing, KeyVersion},
    session::Session,
    signature,
    wire::{KeyData, SignData, SignRequest},
};

/// The key's place in Vault and the last ring that was read from it.
#[derive(Debug)]
pub(crate) struct Keys {
    name: KeyName,
    mount: String,
    key_path: String,
    sign_path: String,
    ring: ArcSwapOption<KeyRing>,
    /// Held by the one who reads the key, so that readings are in order and one serves all who wait for it.
    turn: Mutex<()>,
}

impl Keys {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        let (mount, name) = (&settings.transit_mount, &settings.key_name);
        Self {
            name: name.clone(),
            mount: mount.to_string(),
            key_path: format!("{mount}/keys/{name}"),
            sign_path: format!("{mount}/sign/{name}"),
            ring: ArcSwapOption::empty(),
            turn: Mutex::default(),
        }
    }

    /// The last ring.
    pub(crate) fn ring(&self) -> Option<Arc<KeyRing>> {
        self.ring.load_full()
    }

    /// Reads the key.
    pub(crate) async fn refresh(&self, session: &Session) -> Result<Arc<KeyRing>, VaultError> {
        let _turn = self.turn.lock().await;
        self.read(session).await
    }

    /// Reads the key, unless that was done since this ring was taken.
    pub(crate) async fn refresh_after(
        &self,
        session: &Session,
        seen: &Arc<KeyRing>,
    ) -> Result<Arc<KeyRing>, VaultError> {
        let _turn = self.turn.lock().await;
        match self.ring() {
            Some(ring) if !Arc::ptr_eq(&ring, seen) => Ok(ring),
            _ => self.read(session).await,
        }
    }

    /// Has one version sign these bytes, and verifies what comes back.
    pub(crate) async fn sign(
        &self,
        session: &Session,
        version: &KeyVersion,
        bytes: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let request = SignRequest::new(version.algorithm, version.number, STANDARD.encode(bytes));
        let data: SignData = session.data(&Call::write(&self.sign_path, &request)).await?;
        let signature = signature::decode(&data.signature, version.number)?;
        version.key.verify(bytes, &signature)?;
        Ok(signature)
    }

    async fn read(&self, session: &Session) -> Result<Arc<KeyRing>, VaultError> {
        let previous = self.ring();
        let call = Call::read(&self.key_path);
        let data = match session.data::<KeyData>(&call).await {
            Err(VaultError::Status { refusal, .. }) if refusal.status == StatusCode::NOT_FOUND => {
                // A key that was there before has been deleted. A new one of that name would give its `kid`s a second
                // meaning, so that is left to an operator.
                if previous.is_some() {
                    return Err(self.missing(refusal));
                }
                self.create(session, refusal).await?;
                session.data(&call).await?
            }
            outcome => outcome?,
        };
        let mut ring = KeyRing::parse(&self.name, data).map_err(|reason| VaultError::KeyRefused {
            key: self.name.to_string(),
            mount: self.mount.clone(),
            reason,
        })?;
        if let Some(previous) = &previous {
            ring.succeed(previous);
            if let Some(kid) = ring.reused_kid(previous) {
                warn!(
                    kid,
                    "this key version has another public key than before; tokens that it signed do not verify"
                );
            }
        }
        if previous.is_none_or(|previous| previous.newest() != ring.newest()) {
            info!(key = %self.name, newest_version = ring.newest(), "read the signing key");
        }
        let ring = Arc::new(ring);
        self.ring.store(Some(Arc::clone(&ring)));
        Ok(ring)
    }

    async fn create(&self, session: &Session, missing: Refusal) -> Result<(), VaultError> {
        let call = Call::write(&self.key_path, &json!({ "type": "ed25519" }));
        match session.send(&call).await {
            Ok(_) => {
                info!(key = %self.name, mount = self.mount, "created the signing key, of type ed25519");
                Ok(())
            }
            Err(VaultError::Forbidden { .. }) => Err(self.missing(missing)),
            Err(VaultError::Status { refusal, .. }) if refusal.status == StatusCode::NOT_FOUND => {
                Err(VaultError::MountMissing { mount: self.mount.clone(), refusal })
            }
            Err(error) => Err(error),
        }
    }

    fn missing(&self, refusal: Refusal) -> VaultError {
        VaultError::KeyMissing { key: self.name.to_string(), mount: self.mount.clone(), refusal }
    }
}
