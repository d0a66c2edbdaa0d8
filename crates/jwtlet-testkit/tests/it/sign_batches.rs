//! Batches of signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwtlet_testkit::{KeyType, Vault};
use serde_json::{Value, json};

use crate::http::root;

async fn prepare() -> Vault {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    server.rotate_key("k").unwrap();
    server
}

async fn sign(server: &Vault, body: Value) -> (u16, Value) {
    root(server, "POST", "transit/sign/k", Some(body)).await
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_its_references() {
    let server = prepare().await;
    let items: Vec<_> =
        (0..40).map(|i| json!({ "input": STANDARD.encode([i]), "reference": format!("r{i}") })).collect();

    let (status, body) = sign(&server, json!({ "batch_input": items, "key_version": 1 })).await;

    assert_eq!(status, 200);
    let results = body["data"]["batch_results"].as_array().unwrap();
    let references: Vec<_> = results.iter().map(|result| result["reference"].as_str().unwrap()).collect();
    assert_eq!(references, (0..40).map(|i| format!("r{i}")).collect::<Vec<_>>());
    assert!(results.iter().all(|result| result["signature"].as_str().unwrap().starts_with("vault:v1:")));
    assert_eq!((server.signatures(), server.calls_to("transit/sign")), (40, 1));
}

#[tokio::test]
async fn failed_items_do_not_change_the_status() {
    let server = prepare().await;
    let items = json!([{ "input": "YQ==" }, { "reference": "x" }, { "input": "?" }]);
    let (status, body) = sign(&server, json!({ "batch_input": items, "input": "ignored" })).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"]["batch_results"][0]["key_version"], 2);
    assert_eq!(
        body["data"]["batch_results"][1],
        json!({ "error": "missing input", "key_version": 0, "reference": "x" })
    );
    assert!(
        body["data"]["batch_results"][2]["error"].as_str().unwrap().starts_with("unable to decode input")
    );

    let (status, body) = sign(&server, json!({ "batch_input": [{ "input": "" }], "key_version": 3 })).await;
    assert_eq!(status, 200);
    assert!(body["data"]["batch_results"][0]["error"].as_str().unwrap().contains("higher than the latest"));
}

#[tokio::test]
async fn a_version_per_item_is_ignored() {
    let server = prepare().await;
    let (_, body) = sign(&server, json!({ "batch_input": [{ "input": "", "key_version": 1 }] })).await;
    assert_eq!(body["data"]["batch_results"][0]["key_version"], 2);
}

#[tokio::test]
async fn empty_and_unreadable_batches_are_refused_as_a_whole() {
    let server = prepare().await;
    let (status, body) = sign(&server, json!({ "batch_input": [] })).await;
    assert_eq!((status, body), (400, json!({ "errors": ["missing batch input to process"] })));
    assert_eq!(sign(&server, json!({ "batch_input": [{ "input": true }] })).await.0, 500);
}

#[tokio::test]
async fn a_request_holds_at_most_a_thousand_strings() {
    let server = prepare().await;
    let batch = |count: usize| vec![json!({ "input": "YQ==" }); count];
    let body = |count| json!({ "batch_input": batch(count), "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws", "key_version": 1 });
    assert_eq!(sign(&server, body(497)).await.0, 200);
    let (status, answer) = sign(&server, body(498)).await;
    assert_eq!(status, 400);
    assert!(answer["errors"][0].as_str().unwrap().contains("exceeded maximum number of strings"));
}

#[tokio::test]
async fn a_server_without_batches_signs_the_input_that_is_not_there() {
    let server = Vault::builder().without_batches().start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    let (status, body) = sign(&server, json!({ "batch_input": [{ "input": "YQ==" }] })).await;
    assert_eq!(status, 200);
    assert!(body["data"]["batch_results"].is_null());
    let (_, empty) = sign(&server, json!({ "input": "" })).await;
    assert_eq!(body["data"]["signature"], empty["data"]["signature"]);
    assert_eq!(body["warnings"], json!(["Endpoint ignored these unrecognized parameters: [batch_input]"]));
}
