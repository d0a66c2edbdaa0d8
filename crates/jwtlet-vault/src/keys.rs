//! The signing key in Vault: read, made when it is missing, and kept at hand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use http::StatusCode;
use serde_json::json;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::sleep,
};
use tracing::{info, warn};

use crate::{
    KeyName, VaultSettings,
    choices::RsaAlgorithm,
    client::Call,
    error::VaultError,
    key_ring::{KeyRing, Lifetimes},
    refusal::Refusal,
    session::Session,
    wire::KeyData,
};

/// How often the key is read, so that a new version is noticed well within a minute.
const REFRESH: Duration = Duration::from_secs(30);
/// The least time between two readings that failures cause. Each failed signature asks for one.
const BETWEEN_FAILURES: Duration = Duration::from_millis(250);
/// After how many refresh intervals without a reading nobody should rely on what was read: a version that was retired
/// since then is still published, and may even sign where Vault's nodes disagree.
const STALE_AFTER: u32 = 10;

/// The key's place in Vault and the last ring that was read from it.
#[derive(Debug)]
pub(crate) struct Keys {
    /// How often the key is read when nothing happens.
    pub(crate) refresh_interval: Duration,
    name: KeyName,
    mount: String,
    key_path: String,
    rsa: RsaAlgorithm,
    lifetimes: Lifetimes,
    ring: ArcSwapOption<KeyRing>,
    /// Held by the one who reads the key, so that readings are in order and one serves all who wait for it.
    turn: Mutex<Turn>,
}

/// What is known of the readings so far.
#[derive(Debug, Default)]
struct Turn {
    last: Option<Reading>,
    /// When the last one started that a failure caused.
    after_failure: Option<Instant>,
}

#[derive(Debug)]
struct Reading {
    started: Instant,
    outcome: Result<Arc<KeyRing>, Arc<VaultError>>,
}

impl Keys {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        let (mount, name) = (&settings.transit_mount, &settings.key_name);
        Self {
            refresh_interval: REFRESH,
            name: name.clone(),
            mount: mount.to_string(),
            key_path: format!("{mount}/keys/{name}"),
            rsa: settings.signature_algorithm,
            lifetimes: Lifetimes {
                publish_before_sign: settings.publish_before_sign,
                token_ttl: settings.token_ttl,
            },
            ring: ArcSwapOption::empty(),
            turn: Mutex::default(),
        }
    }

    /// The last ring.
    pub(crate) fn ring(&self) -> Option<Arc<KeyRing>> {
        self.ring.load_full()
    }

    /// Whether what is known of the key is too old to rely on.
    pub(crate) fn is_stale(&self) -> bool {
        let age = self.ring.load().as_ref().map(|ring| ring.read_at().elapsed());
        age.is_some_and(|age| age > self.refresh_interval * STALE_AFTER)
    }

    /// Reads the key.
    pub(crate) async fn refresh(&self, session: &Session) -> Result<Arc<KeyRing>, Arc<VaultError>> {
        self.take_turn(self.turn.lock().await, session).await
    }

    /// Reads the key because something failed, unless that was done since then.
    pub(crate) async fn refresh_after(
        &self,
        session: &Session,
        failure: Instant,
    ) -> Result<Arc<KeyRing>, Arc<VaultError>> {
        let mut turn = self.turn.lock().await;
        if let Some(last) = &turn.last
            && last.started >= failure
        {
            return last.outcome.clone();
        }
        if let Some(last) = turn.after_failure {
            sleep(BETWEEN_FAILURES.saturating_sub(last.elapsed())).await;
        }
        turn.after_failure = Some(Instant::now());
        self.take_turn(turn, session).await
    }

    async fn take_turn(
        &self,
        mut turn: MutexGuard<'_, Turn>,
        session: &Session,
    ) -> Result<Arc<KeyRing>, Arc<VaultError>> {
        let started = Instant::now();
        let outcome = self.read(session).await.map_err(Arc::new);
        turn.last = Some(Reading { started, outcome: outcome.clone() });
        outcome
    }

    async fn read(&self, session: &Session) -> Result<Arc<KeyRing>, VaultError> {
        let previous = self.ring();
        let call = Call::read(&self.key_path);
        let data = match session.data_patiently::<KeyData>(&call).await {
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
        let ring = KeyRing::parse(&self.name, self.rsa, self.lifetimes, data);
        let mut ring = ring.map_err(|reason| VaultError::KeyRefused {
            key: self.name.to_string(),
            mount: self.mount.clone(),
            reason,
        })?;
        if let Some(previous) = &previous {
            if let Some(kid) = ring.reused_kid(previous) {
                warn!(
                    kid,
                    "this key version has another public key than before; tokens that it signed do not verify"
                );
            }
            ring = ring.after(previous, self.refresh_interval);
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
