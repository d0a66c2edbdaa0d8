//! A Kubernetes API server and a Vault that speak the wire protocol.
//!
//! Both are real HTTP servers on loopback with real keys: tokens are signed and verified, permissions are
//! checked, and refusals carry the status codes and bodies of the originals. What a client of theirs gets
//! wrong in production (an audience never checked, a salt length left at its default, a redirect followed
//! with the token attached) goes wrong here too, which is what hand-written stubs of one's own traits cannot show.
//!
//! - [`Kubernetes`] serves TokenReview, TokenRequest, the issuer's discovery documents and the probes.
//! - [`Vault`] serves the transit engine, tokens, the Kubernetes login and the `sys` probes.
//! - [`Faults`] makes either of them slow, mute, garbled, huge or absent.
//! - [`OpenBao`] and [`Postgres`] are the real servers, started and thrown away.
//! - [`wait_until`] and [`LogCapture`] serve the tests around them.
//!
//! Handles are cheap to clone; the server stops when the last one is dropped.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use jwtlet_testkit::{KeyType, Kubernetes, TokenPolicy, Vault};
//!
//! let kubernetes = Kubernetes::start().await?;
//! kubernetes.create_service_account("shop", "cart");
//! let subject_token = kubernetes.token("shop", "cart").audience("jwtlet").mint();
//!
//! let vault = Vault::start().await?;
//! vault.create_key("jwtlet", KeyType::EcdsaP256)?;
//! let vault_token = vault.create_token(&TokenPolicy::signer("jwtlet"));
//! # let _ = (subject_token, vault_token);
//! # Ok(())
//! # }
//! ```

mod client;
mod clock;
mod delay;
mod encoding;
mod error;
mod faults;
mod kubernetes;
mod listener;
mod log_capture;
mod openbao;
mod postgres;
mod postgres_server;
mod rsa;
mod tls;
mod vault;
mod wait;

pub use delay::delay;
pub use error::{KeyError, StartError};
pub use faults::{Fault, Faults};
pub use kubernetes::{Kubernetes, KubernetesBuilder, TokenBuilder};
pub use log_capture::{CaptureWriter, LogCapture};
pub use openbao::{OpenBao, OpenBaoBuilder, OpenBaoError};
pub use postgres::{Frozen, Postgres, PostgresError};
pub use vault::{KeyType, KubernetesAuth, KubernetesRole, TokenPolicy, UnknownKeyType, Vault, VaultBuilder};
pub use wait::{PatienceExhausted, wait_for, wait_until};
