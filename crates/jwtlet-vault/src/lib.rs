//! The [`Signer`](jwtlet_core::Signer) port on the transit engine of HashiCorp Vault and OpenBao.
//!
//! The private key stays in Vault; jwtlet sends the bytes to sign and gets a signature back. Three things go wrong when
//! that is done plainly, and this crate is shaped by them. The `kid` is inside the signed bytes, so the version is
//! chosen first and named in the call, never "the latest". A new version must be published before it signs, so the
//! choice is made from what Vault says about the age of each version, the same on every replica. And Vault answers many
//! mistakes with status 200 and a signature that no JWT library accepts, so nothing leaves that was not verified here.
//!
//! From the outside in: `signer` is the port and the background work, `session` a call with a valid token, `auth` where
//! that token comes from (`login` in a cluster), `client` one call, `wire` its JSON; `key_ring`, `public_key`,
//! `signature` and `rotation` are pure.
//!
//! The invariant: what [`VaultSigner`] returns verifies with the published key that its `kid` names.

mod auth;
mod client;
mod error;
mod jitter;
mod key_ring;
mod keys;
mod login;
mod public_key;
mod rotation;
mod session;
mod settings;
mod signature;
mod signer;
mod wire;

pub use settings::{
    KeyName, KubernetesLogin, MountPath, Namespace, SettingError, VaultAuth, VaultSettings, check_token,
};
pub use signer::VaultSigner;
