//! What the routes of Vault share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::Value;

use super::kubernetes_login::{KubernetesAuth, KubernetesRole};
use super::tokens::Tokens;
use super::transit::Keys;
use crate::faults::Faults;

/// A function that changes an answer before it is sent.
pub(super) type AnswerHook = Box<dyn FnMut(&Method, &str, &mut Value) + Send>;

pub(super) struct State {
    /// Where the transit engine is mounted, without slashes at the ends.
    pub(super) mount: String,
    /// The only namespace, if not the root one.
    pub(super) namespace: Option<String>,
    pub(super) sealed: AtomicBool,
    pub(super) keys: Keys,
    pub(super) tokens: Tokens,
    pub(super) root_token: String,
    /// Where the Kubernetes login is mounted below `auth/`.
    pub(super) kubernetes_mount: String,
    pub(super) kubernetes: Option<KubernetesAuth>,
    pub(super) roles: Mutex<HashMap<String, KubernetesRole>>,
    pub(super) faults: Arc<Faults>,
    pub(super) hooks: Mutex<Vec<AnswerHook>>,
    pub(super) calls: Mutex<HashMap<String, u64>>,
    pub(super) signatures: AtomicU64,
    /// Whether `batch_input` is a parameter that nobody knows.
    pub(super) no_batches: bool,
    /// Whether `salt_length` is a parameter that nobody knows.
    pub(super) no_salt_lengths: bool,
    pub(super) limits: Limits,
}

/// How large a request may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Strings in its JSON; member names count as well.
    pub(super) json_strings: usize,
    /// Bytes of its body.
    pub(super) body: usize,
}

impl Default for Limits {
    /// Those of OpenBao.
    fn default() -> Self {
        Self { json_strings: 1000, body: 32 * 1024 * 1024 }
    }
}
