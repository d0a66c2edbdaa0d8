//! The [`Signer`](jwtlet_core::Signer) port on the transit engine of HashiCorp Vault and OpenBao.
//!
//! The private key stays in Vault; jwtlet sends the bytes to sign and gets a signature back. Three things go wrong when
//! that is done plainly, and this crate is shaped by them. The `kid` is inside the signed bytes, so the version is
//! chosen first and named in the call, never "the latest". A new version must be published before it signs, so the
//! choice is made from what Vault says about the age of each version, the same on every replica. And Vault answers many
//! mistakes with status 200 and a signature that no JWT library accepts, so nothing leaves that was not verified here.
//!
//! A call to Vault costs a round trip, and a batch of a hundred signatures hardly more than one, so exchanges that come
//! at the same time share their calls.
//!
//! From the outside in: `signer` is the port and the background work; `lanes` and `queue` gather callers into calls,
//! `split` halves
//! what is too large, `batch` serves one call's callers, `remedy` says what is repeated; `transit` is the engine: `keys` reads the key,
//! `sign_calls` asks for signatures. `session` is a call with a valid token, `auth` where that token comes from (`login`
//! in a cluster), `client` one call, `wire` and `sign_wire` its JSON. `key_ring`, `key_version`, `public_key`,
//! `sign_answer`, `signature` and `rotation` are pure.
//!
//! The invariant: what [`VaultSigner`] returns verifies with the published key that its `kid` names.

mod auth;
mod batch;
mod choices;
mod client;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod key_ring;
mod key_version;
mod keys;
mod lanes;
mod login;
mod outcomes;
mod public_key;
mod queue;
mod refusal;
mod remedy;
mod returns;
mod rotation;
mod session;
mod settings;
mod sign_answer;
mod sign_calls;
mod sign_wire;
mod signature;
mod signer;
mod split;
mod transit;
mod wire;

pub use choices::{RsaAlgorithm, VerifySignatures};
pub use key_ring::KeyCensus;
pub use lanes::SignatureQueue;
pub use login::TokenUse;
pub use settings::{
    KeyName, KubernetesLogin, LARGEST_BATCH, MountPath, Namespace, SettingError, VaultAuth, VaultSettings,
    check_token,
};
pub use signer::VaultSigner;
