//! What the cluster holds: accounts, pods, rights, and the counters tests ask for.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use uuid::Uuid;

use super::key;
use super::keys::IssuerKey;
use crate::faults::Faults;

/// A function that changes a TokenReview before it is sent.
pub(super) type ReviewHook = Box<dyn FnMut(&mut Value) + Send>;

/// Everything the routes share.
pub(super) struct State {
    pub(super) url: String,
    pub(super) issuer: String,
    pub(super) api_audiences: Vec<String>,
    pub(super) issuer_key: IssuerKey,
    pub(super) foreign_key: IssuerKey,
    pub(super) admin_token: String,
    pub(super) cluster: Mutex<Cluster>,
    pub(super) faults: Arc<Faults>,
    pub(super) hooks: Mutex<Vec<ReviewHook>>,
    pub(super) reviews: AtomicU64,
    pub(super) reviews_by_token: Mutex<HashMap<Vec<u8>, u64>>,
}

/// The objects of the cluster, each under its namespace and name.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) service_accounts: HashMap<(String, String), String>,
    pub(super) pods: HashMap<(String, String), Pod>,
    pub(super) reviewers: HashSet<(String, String)>,
    pub(super) reviews_forbidden: bool,
    pub(super) reviewer_token: String,
    pub(super) reviewer_token_id: String,
    /// Ids (`jti`) of tokens that are dead before their time.
    pub(super) revoked: HashSet<String>,
}

/// A pod, and the node it runs on.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) node: String,
    pub(super) node_uid: String,
}

impl Cluster {
    pub(super) fn create_service_account(&mut self, namespace: &str, name: &str) -> String {
        let uid = new_uid();
        self.service_accounts.insert(key(namespace, name), uid.clone());
        uid
    }

    pub(super) fn create_pod(&mut self, namespace: &str, name: &str) -> String {
        let pod = Pod { uid: new_uid(), node: "node-1".to_owned(), node_uid: new_uid() };
        let uid = pod.uid.clone();
        self.pods.insert(key(namespace, name), pod);
        uid
    }
}

/// A uid as Kubernetes makes them.
pub(super) fn new_uid() -> String {
    Uuid::new_v4().to_string()
}
