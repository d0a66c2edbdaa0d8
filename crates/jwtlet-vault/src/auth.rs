//! Where the Vault token comes from: fixed, in a file that an agent keeps, or from a login with jwtlet's own service
//! account.

use std::time::Duration;

use jwtlet_upstream::CredentialFile;
use secrecy::SecretString;

use crate::{
    VaultAuth,
    client::Client,
    error::VaultError,
    login::{Login, TokenUse},
};

/// Where the token comes from.
#[derive(Debug)]
pub(crate) enum TokenSource {
    Fixed(SecretString),
    File(CredentialFile),
    Login(Login),
}

impl TokenSource {
    /// `patience` is how long logging in and renewing may take altogether.
    pub(crate) fn new(auth: &VaultAuth, patience: Duration) -> Self {
        match auth {
            VaultAuth::Token(token) => Self::Fixed(token.clone()),
            VaultAuth::TokenFile(path) => Self::File(CredentialFile::new(path)),
            VaultAuth::Kubernetes(login) => Self::Login(Login::new(login, patience)),
        }
    }

    /// The token to use now.
    pub(crate) fn token(&self) -> Result<SecretString, VaultError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(file) => Ok(file.token()?),
            Self::Login(login) => login.token(),
        }
    }

    /// Another token, because this one was refused; `None` when there is no other.
    pub(crate) async fn replacement(
        &self,
        client: &Client,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, VaultError> {
        match self {
            Self::Fixed(_) => Ok(None),
            Self::File(file) => Ok(file.replacement(refused)),
            Self::Login(login) => login.replacement(client, refused).await,
        }
    }

    /// Logs in when that was not done yet, and renews when it is time.
    pub(crate) async fn keep(&self, client: &Client) -> Result<(), VaultError> {
        match self {
            Self::Login(login) => login.keep(client).await,
            Self::Fixed(_) | Self::File(_) => Ok(()),
        }
    }

    /// What is known of the token's life; `None` for one that somebody else looks after.
    pub(crate) fn token_use(&self) -> Option<TokenUse> {
        match self {
            Self::Login(login) => Some(login.token_use()),
            Self::Fixed(_) | Self::File(_) => None,
        }
    }

    /// How long until [`TokenSource::keep`] has something to do.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        match self {
            Self::Login(login) => login.due_in(),
            Self::Fixed(_) | Self::File(_) => None,
        }
    }
}
