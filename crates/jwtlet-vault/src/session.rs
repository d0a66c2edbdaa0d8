//! Calls with a valid token.

use std::time::Duration;

use jwtlet_upstream::{Answer, Calls};
use serde::de::DeserializeOwned;
use tracing::info;

use crate::{
    VaultSettings,
    auth::TokenSource,
    client::{Call, Client},
    error::VaultError,
    login::TokenUse,
    remedy::Repeats,
};

/// A client together with the token that it uses.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    source: TokenSource,
    /// How long an exchange waits altogether.
    patience: Duration,
}

impl Session {
    pub(crate) fn new(settings: &VaultSettings) -> Self {
        Self {
            client: Client::new(settings),
            source: TokenSource::new(&settings.auth, settings.request_timeout),
            patience: settings.request_timeout,
        }
    }

    /// Sends a call with the token. When that is refused and another token can be had, once more with that one.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer, VaultError> {
        let token = self.source.token()?;
        let refused = match self.client.send(call, Some(&token)).await {
            Err(error @ VaultError::Forbidden { .. }) => error,
            outcome => return outcome,
        };
        match self.source.replacement(&self.client, &token).await? {
            Some(replacement) => {
                info!("Vault refused the token; another one is in use");
                self.client.send(call, Some(&replacement)).await
            }
            None => Err(refused),
        }
    }

    /// Like [`Session::send`], for a call whose answer has data.
    pub(crate) async fn data<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, VaultError> {
        let answer = self.send(call).await?;
        let content = self.client.content(call, &answer)?;
        content.data.ok_or_else(|| VaultError::NoData(call.path.to_owned()))
    }

    /// Like [`Session::data`], and again after a pause while there is hope, for a call that changes nothing.
    pub(crate) async fn data_patiently<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, VaultError> {
        let mut repeats = Repeats::within(self.patience, self.calls());
        loop {
            match self.data(call).await {
                Err(error) => repeats.after(error).await?,
                outcome => return outcome,
            }
        }
    }

    /// Logs in or renews when it is time.
    pub(crate) async fn keep_token(&self) -> Result<(), VaultError> {
        self.source.keep(&self.client).await
    }

    /// What became of the calls so far.
    pub(crate) fn calls(&self) -> &Calls {
        self.client.calls()
    }

    /// What is known of the token's life; `None` for one that somebody else looks after.
    pub(crate) fn token_use(&self) -> Option<TokenUse> {
        self.source.token_use()
    }

    /// How long until [`Session::keep_token`] has something to do; `None` when it never has.
    pub(crate) fn token_due_in(&self) -> Option<Duration> {
        self.source.due_in()
    }
}
