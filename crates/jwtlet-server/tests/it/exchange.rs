//! What an exchange gives.

use serde_json::json;

use crate::harness::{CONNECTOR, Harness};

#[tokio::test]
async fn a_service_account_token_is_exchanged_for_a_token_of_the_participant_context() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &["read"], &[]).await;
    server.map_scope("read", json!({"scope": "read", "role": "reader"})).await;
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read")]).await;
    assert_eq!(answer.claims()["sub"], "acme");
    assert_eq!(answer.claims()["role"], "reader");
}
