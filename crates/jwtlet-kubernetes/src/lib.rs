//! The [`SubjectVerifier`](jwtlet_core::SubjectVerifier) port on the `TokenReview` API of Kubernetes.
//!
//! Only the cluster knows whether a service account still exists and whether a pod is gone, so each token is put to it.
//! A review tells more than yes or no, and most of its traps are in the rest: an API server may answer "authenticated"
//! for an anonymous user, for a user of another kind, or for an audience nobody asked for. `review` has the wire
//! format, `verdict` the rules, `reviewer` the call; `cache` spares the cluster what it said a moment ago, and `gate` what is too much. The invariant: a token is accepted only when the cluster
//! names its service account and confirms our audience; and what the API server says about *jwtlet's* credentials is
//! never held against the caller.

mod cache;
mod gate;
mod review;
mod reviewer;
mod verdict;
mod verifier;

pub use cache::ReviewCacheUse;
pub use gate::ReviewQueue;
pub use verifier::{KubernetesSettings, KubernetesVerifier};
