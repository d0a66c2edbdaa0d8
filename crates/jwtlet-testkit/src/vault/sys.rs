//! The probes below `sys/`, which need no token.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::json;

use super::answer::Answer;
use super::state::State;
use crate::clock::now;

const VERSION: &str = "2.6.2";

/// `sys/health` and `sys/seal-status`, if the path is one of them.
pub(super) fn probe(state: &State, path: &str) -> Option<Answer> {
    let sealed = state.sealed.load(Ordering::Relaxed);
    match path {
        "sys/health" => {
            let status = if sealed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let document = json!({
                "initialized": true,
                "sealed": sealed,
                "standby": false,
                "server_time_utc": now().as_second(),
                "version": VERSION,
                "cluster_name": "testkit",
            });
            Some(Answer::Bare(status, document))
        }
        "sys/seal-status" => {
            let document = json!({
                "type": "shamir",
                "initialized": true,
                "sealed": sealed,
                "t": 1,
                "n": 1,
                "progress": 0,
                "nonce": "",
                "version": VERSION,
                "storage_type": "inmem",
            });
            Some(Answer::Bare(StatusCode::OK, document))
        }
        _ => None,
    }
}
