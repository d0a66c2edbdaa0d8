//! The login with jwtlet's own service account, by way of Vault's Kubernetes auth method.
//!
//! A login makes a lease. It is renewed at two thirds of its life; when the renewal fails, or comes back shorter than
//! the lease was (the end of the token's greatest age is near), a new login replaces it. Until then the old token stays
//! in use: the new one takes over only once it is there.
//!
//! Both are repeated here when nobody waits for them. The login that an exchange waits for, because its token was refused,
//! is repeated with the exchange, within the deadline of that. When Vault says for how long it is to be left alone, nobody
//! logs in or renews until then.

use std::{
    sync::{Mutex as StdMutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use jwtlet_core::upstream::chain;
use jwtlet_upstream::{Counter, CredentialFile, jittered};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::IgnoredAny};
use serde_json::json;
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    KubernetesLogin,
    client::{Call, Client},
    error::VaultError,
    refusal::Refusal,
    remedy::Repeats,
    wire::Auth,
};

/// How long a token that replaced a refused one is not itself replaced: when it is refused too, the login is not what
/// is wrong, and each refused exchange would make another.
const REPLACEMENT_STAYS: Duration = Duration::from_secs(5);
/// The longest and the shortest wait after a renewal and a login that both failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest time that Vault is left alone because it asks for it. A limit on a rate is over sooner.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_mins(1);

/// A token from a login.
#[derive(Debug)]
struct Lease {
    token: SecretString,
    /// When it replaced a refused token, if it did.
    replaced_at: Option<Instant>,
    /// The whole length that the login gave; zero for a token without end.
    length: Duration,
    renewable: bool,
    /// When to renew it, or to try again.
    due: Option<Instant>,
    ends: Option<Instant>,
}

impl Lease {
    fn new(auth: Auth, start: Instant) -> Self {
        let length = Duration::from_secs(auth.lease_duration.into());
        let mut lease = Self {
            token: auth.client_token,
            replaced_at: None,
            length,
            renewable: auth.renewable,
            due: None,
            ends: None,
        };
        lease.run_from(start, length);
        lease
    }

    /// Counts this length from now on.
    fn run_from(&mut self, start: Instant, length: Duration) {
        if !length.is_zero() {
            self.due = Some(start + jittered(length * 2 / 3));
            self.ends = Some(start + length);
        }
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    fn remaining(&self) -> Duration {
        self.ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()))
    }

    fn copy(&self) -> Self {
        Self { token: self.token.clone(), ..*self }
    }
}

/// The login with the Kubernetes auth method.
#[derive(Debug)]
pub(crate) struct Login {
    role: String,
    mount: String,
    path: String,
    service_account: CredentialFile,
    lease: ArcSwapOption<Lease>,
    /// Held by the one who logs in or renews.
    turn: Mutex<()>,
    /// Until when Vault asked to be left alone.
    closed_until: StdMutex<Option<Instant>>,
    /// How long repeats may take altogether.
    patience: Duration,
    failures: Counter,
}

/// What is known of the life of a token from a login.
#[derive(Debug, Clone, Copy)]
pub struct TokenUse {
    /// How long it is good for; `None` before the first login and for a token without end.
    pub remaining: Option<Duration>,
    /// How many logins and renewals have failed so far, repeats apart.
    pub failures: u64,
}

#[derive(Serialize)]
struct LoginRequest<'a> {
    role: &'a str,
    jwt: &'a str,
}

impl Login {
    pub(crate) fn new(login: &KubernetesLogin, patience: Duration) -> Self {
        Self {
            role: login.role.clone(),
            mount: login.mount.to_string(),
            path: format!("auth/{}/login", login.mount),
            service_account: CredentialFile::new(&login.token_file),
            lease: ArcSwapOption::empty(),
            turn: Mutex::default(),
            closed_until: StdMutex::default(),
            patience,
            failures: Counter::default(),
        }
    }

    /// The token of the last login.
    pub(crate) fn token(&self) -> Result<SecretString, VaultError> {
        self.lease.load().as_ref().map(|lease| lease.token.clone()).ok_or(VaultError::NotLoggedIn)
    }

    /// What is known of the life of the token.
    pub(crate) fn token_use(&self) -> TokenUse {
        let lease = self.lease.load();
        let ends = lease.as_ref().and_then(|lease| lease.ends);
        TokenUse {
            remaining: ends.map(|ends| ends.saturating_duration_since(Instant::now())),
            failures: self.failures.get(),
        }
    }

    /// How long until [`Login::keep`] has something to do; `None` before the first login and for a token without end.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let due = self.lease.load().as_ref()?.due?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// The token of another login, because this one was refused; `None` when that would not help.
    pub(crate) async fn replacement(
        &self,
        client: &Client,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, VaultError> {
        let _turn = self.turn.lock().await;
        if let Some(lease) = self.lease.load_full() {
            if lease.token.expose_secret() != refused.expose_secret() {
                return Ok(Some(lease.token.clone()));
            }
            if lease.replaced_at.is_some_and(|time| time.elapsed() < REPLACEMENT_STAYS) {
                return Ok(None);
            }
        }
        let mut lease = self.log_in(client).await?;
        lease.replaced_at = Some(Instant::now());
        let token = lease.token.clone();
        self.store(lease);
        Ok(Some(token))
    }

    /// Logs in when that was not done yet, and renews when it is time.
    pub(crate) async fn keep(&self, client: &Client) -> Result<(), VaultError> {
        let _turn = self.turn.lock().await;
        let Some(lease) = self.lease.load_full() else {
            self.store(self.log_in_patiently(client).await?);
            return Ok(());
        };
        if !lease.is_due() || self.renew(client, &lease).await {
            return Ok(());
        }
        match self.log_in_patiently(client).await {
            Err(error) if !lease.remaining().is_zero() => {
                warn!(
                    error = chain(&error),
                    "the Vault token is neither renewed nor replaced; the old one stays in use"
                );
                let pause = jittered((lease.remaining() / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
                let due = Instant::now() + pause.max(self.closed_for());
                self.store(Lease { due: Some(due), ..lease.copy() });
                Ok(())
            }
            outcome => {
                self.store(outcome?);
                Ok(())
            }
        }
    }

    /// Whether the lease is as long as new again.
    async fn renew(&self, client: &Client, lease: &Lease) -> bool {
        if !lease.renewable {
            return false;
        }
        let body = json!({ "increment": lease.length.as_secs() });
        let call = Call::write("auth/token/renew-self", &body);
        let mut repeats = Repeats::within(self.patience, client.calls());
        let (auth, start) = loop {
            let start = Instant::now();
            match self.authenticate(client, &call, Some(&lease.token)).await {
                Ok(auth) => break (auth, start),
                Err(error) => {
                    if let Err(error) = repeats.after(error).await {
                        self.failures.increment();
                        warn!(error = chain(&error), "the Vault token was not renewed; logging in again");
                        return false;
                    }
                }
            }
        };
        let granted = Duration::from_secs(auth.lease_duration.into());
        // Vault counts in whole seconds.
        if granted + Duration::from_secs(1) < lease.length {
            info!("the Vault token is near its greatest age; logging in again");
            return false;
        }
        let mut renewed = lease.copy();
        renewed.run_from(start, granted);
        self.store(renewed);
        true
    }

    async fn log_in_patiently(&self, client: &Client) -> Result<Lease, VaultError> {
        let mut repeats = Repeats::within(self.patience, client.calls());
        loop {
            match self.log_in(client).await {
                Err(error) => repeats.after(error).await?,
                outcome => return outcome,
            }
        }
    }

    async fn log_in(&self, client: &Client) -> Result<Lease, VaultError> {
        self.try_log_in_with_file(client).await.inspect_err(|_| self.failures.increment())
    }

    async fn try_log_in_with_file(&self, client: &Client) -> Result<Lease, VaultError> {
        let jwt = self.service_account.token()?;
        let start = Instant::now();
        let auth = match self.try_log_in(client, &jwt).await {
            Err(error @ VaultError::LoginRefused { .. }) => match self.service_account.replacement(&jwt) {
                Some(replacement) => self.try_log_in(client, &replacement).await?,
                None => return Err(error),
            },
            outcome => outcome?,
        };
        if auth.client_token.expose_secret().is_empty() {
            return Err(VaultError::LoginWithoutToken);
        }
        info!(role = self.role, lease_seconds = auth.lease_duration, "logged in to Vault");
        Ok(Lease::new(auth, start))
    }

    async fn try_log_in(&self, client: &Client, jwt: &SecretString) -> Result<Auth, VaultError> {
        let body = LoginRequest { role: &self.role, jwt: jwt.expose_secret() };
        let outcome = self.authenticate(client, &Call::write(&self.path, &body), None).await;
        outcome.map_err(|error| self.explain(error))
    }

    /// A refusal of the login is an operator's matter, unlike most other answers with such a status.
    fn explain(&self, error: VaultError) -> VaultError {
        let refused = |refusal: Refusal| VaultError::LoginRefused {
            role: self.role.clone(),
            mount: self.mount.clone(),
            refusal,
        };
        match error {
            VaultError::Forbidden { refusal, .. } => refused(refusal),
            VaultError::Status { refusal, .. } if matches!(refusal.status.as_u16(), 400 | 404) => {
                refused(refusal)
            }
            error => error,
        }
    }

    async fn authenticate(
        &self,
        client: &Client,
        call: &Call<'_>,
        token: Option<&SecretString>,
    ) -> Result<Auth, VaultError> {
        let left = self.closed_for();
        if !left.is_zero() {
            return Err(VaultError::LoginPaused(left));
        }
        let answer = client.send(call, token).await.inspect_err(|error| {
            if let Some(pause) = error.retry_after() {
                *self.closed_until() = Some(Instant::now() + pause.min(LONGEST_ASKED_PAUSE));
            }
        })?;
        let content = client.content::<IgnoredAny>(call, &answer)?;
        content.auth.ok_or(VaultError::LoginWithoutToken)
    }

    /// How long Vault is to be left alone yet.
    fn closed_for(&self) -> Duration {
        let until = *self.closed_until();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    fn closed_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.closed_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, lease: Lease) {
        self.lease.store(Some(lease.into()));
    }
}
