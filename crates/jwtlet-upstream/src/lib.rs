//! How jwtlet talks to the systems it depends on.
//!
//! Kubernetes and Vault differ in what is said, not in how: HTTP with explicit trust, no redirects (Vault's token
//! header would follow one to any host), no proxy from the environment, a limit on time and on the size of an answer,
//! and a credential that somebody else replaces in a file. That common part is here, so that neither adapter can get
//! it wrong on its own.

mod backoff;
mod credential_file;
mod health;
mod http_client;
mod statistics;
pub mod trace;

pub use backoff::{Backoff, jittered};
pub use credential_file::{CredentialError, CredentialFile};
pub use health::HealthCell;
pub use http_client::{
    Answer, ClientCertificate, HttpClient, HttpError, HttpSettings, retry_after, sensitive_header,
};
pub use statistics::{Calls, Counter, Failure, Histogram, Spread, TIMES};
