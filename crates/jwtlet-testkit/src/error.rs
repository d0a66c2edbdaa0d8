//! What can go wrong while a fake is set up.

use std::io;
use std::net::SocketAddr;

/// A fake could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The certificate authority or the server certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate was refused by the TLS library.
    #[error("cannot set TLS up")]
    Tls(#[from] rustls::Error),
    /// A key could not be generated.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A key could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library failed.
    #[error("key generation failed")]
    Generation,
    /// No key has this name.
    #[error("there is no key named {0:?}")]
    NotFound(String),
    /// The key has no such version.
    #[error("key {name:?} has no version {version}")]
    NoVersion {
        /// The key.
        name: String,
        /// The version asked for.
        version: u64,
    },
}

impl From<aws_lc_rs::error::Unspecified> for KeyError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Generation
    }
}

impl From<aws_lc_rs::error::KeyRejected> for KeyError {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self::Generation
    }
}
