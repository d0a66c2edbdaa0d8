//! Transit keys.

use jwtlet_testkit::{KeyType, TokenPolicy, Vault};
use serde_json::json;

use crate::http::{root, vault};

#[tokio::test]
async fn a_created_key_is_described_in_full() {
    let server = Vault::start().await.unwrap();

    let (status, created) =
        root(&server, "POST", "transit/keys/k", Some(json!({ "type": "ecdsa-p256" }))).await;
    let (_, read) = root(&server, "GET", "transit/keys/k", None).await;

    assert_eq!(status, 200);
    assert_eq!(created["data"], read["data"]);
    let data = &read["data"];
    assert_eq!((&data["latest_version"], &data["min_decryption_version"]), (&json!(1), &json!(1)));
    assert_eq!((&data["type"], &data["supports_signing"]), (&json!("ecdsa-p256"), &json!(true)));
    assert_eq!(data["keys"]["1"]["name"], "P-256");
    let pem = data["keys"]["1"]["public_key"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n") && pem.ends_with("-----END PUBLIC KEY-----\n"));
    assert_eq!(server.public_key("k", 1).as_deref(), Some(pem));
}

#[tokio::test]
async fn the_default_type_does_not_sign_and_an_existing_key_is_kept() {
    let server = Vault::start().await.unwrap();
    let (_, created) = root(&server, "POST", "transit/keys/k", None).await;
    assert_eq!(
        (&created["data"]["type"], &created["data"]["supports_signing"]),
        (&json!("aes256-gcm96"), &json!(false))
    );
    assert!(created["data"]["keys"]["1"].is_i64());

    let (status, again) = root(&server, "POST", "transit/keys/k", Some(json!({ "type": "ed25519" }))).await;

    assert_eq!((status, &again["data"]["type"]), (200, &json!("aes256-gcm96")));
    assert_eq!(again["warnings"], json!(["key k already existed"]));
    let (status, _) = root(&server, "POST", "transit/sign/k", Some(json!({ "input": "" }))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn an_ed25519_key_is_shown_raw_and_a_derived_one_only_for_a_context() {
    let server = Vault::start().await.unwrap();
    server.create_key("plain", KeyType::Ed25519).unwrap();
    assert_eq!(server.public_key("plain", 1).unwrap().len(), 44);
    let body = json!({ "type": "ed25519", "derived": true });
    let (_, created) = root(&server, "POST", "transit/keys/derived", Some(body)).await;
    assert_eq!(created["data"]["keys"]["1"]["public_key"], "");
}

#[tokio::test]
async fn keys_that_do_not_exist_are_missing_in_different_ways() {
    let server = Vault::start().await.unwrap();
    assert_eq!(root(&server, "GET", "transit/keys/none", None).await, (404, json!({ "errors": [] })));
    let (status, body) = root(&server, "POST", "transit/sign/none", Some(json!({ "input": "" }))).await;
    assert_eq!((status, body), (400, json!({ "errors": ["signing key not found"] })));
    let (status, body) = root(&server, "POST", "transit/keys/none/rotate", None).await;
    assert_eq!((status, body), (400, json!({ "errors": ["key not found"] })));
    assert_eq!(root(&server, "LIST", "transit/keys", None).await.0, 404);
    assert_eq!(root(&server, "GET", "elsewhere/keys/none", None).await.0, 404);
    assert_eq!(root(&server, "POST", "transit/keys/k", Some(json!({ "type": "what" }))).await.0, 400);
}

#[tokio::test]
async fn rotation_adds_versions_and_the_minimum_hides_them() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::EcdsaP384).unwrap();
    root(&server, "PUT", "transit/keys/k/rotate", None).await;
    assert_eq!(server.rotate_key("k").unwrap(), 3);
    let config = json!({ "min_decryption_version": 2, "min_encryption_version": 3 });

    let (status, body) = root(&server, "POST", "transit/keys/k/config", Some(config)).await;

    assert_eq!(status, 200);
    let versions: Vec<_> = body["data"]["keys"].as_object().unwrap().keys().collect();
    assert_eq!(versions, ["2", "3"]);
    server.set_min_decryption_version("k", 1).unwrap();
    let (_, body) = root(&server, "GET", "transit/keys/k", None).await;
    assert_eq!(body["data"]["keys"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn senseless_configurations_are_refused() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    server.rotate_key("k").unwrap();
    for config in [
        json!({ "min_decryption_version": 3 }),
        json!({ "min_encryption_version": -1 }),
        json!({ "min_decryption_version": 2, "min_encryption_version": 1 }),
        json!({ "auto_rotate_period": "5m" }),
    ] {
        assert_eq!(root(&server, "POST", "transit/keys/k/config", Some(config)).await.0, 400);
    }
}

#[tokio::test]
async fn trimming_destroys_and_needs_a_minimum() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    server.rotate_key("k").unwrap();
    let trim = || Some(json!({ "min_available_version": 2 }));
    assert_eq!(root(&server, "POST", "transit/keys/k/trim", trim()).await.0, 400);
    server.set_min_encryption_version("k", 2).unwrap();
    server.set_min_decryption_version("k", 2).unwrap();
    assert_eq!(root(&server, "POST", "transit/keys/k/trim", trim()).await.0, 200);
    assert_eq!(server.public_key("k", 1), None);
}

#[tokio::test]
async fn deletion_has_to_be_allowed_and_a_soft_deleted_key_is_still_readable() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    root(&server, "DELETE", "transit/keys/k/soft-delete", None).await;
    let (_, body) = root(&server, "GET", "transit/keys/k", None).await;
    assert_eq!(body["data"]["soft_deleted"], true);
    assert_eq!(root(&server, "DELETE", "transit/keys/k", None).await.0, 400);
    root(&server, "POST", "transit/keys/k/config", Some(json!({ "deletion_allowed": true }))).await;
    assert_eq!(root(&server, "DELETE", "transit/keys/k", None).await.0, 204);
    assert_eq!(server.latest_version("k"), None);
}

#[tokio::test]
async fn a_version_can_be_aged() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Rsa2048).unwrap();
    server.set_creation_time("k", 1, "2020-01-02T03:04:05.678901234Z".parse().unwrap()).unwrap();
    let token = server.create_token(&TokenPolicy::signer("k"));
    let (_, body) = vault(&server, &token, "GET", "transit/keys/k", None).await;
    assert_eq!(body["data"]["keys"]["1"]["creation_time"], "2020-01-02T03:04:05.678901234Z");
    assert!(server.set_creation_time("k", 2, "2020-01-02T03:04:05Z".parse().unwrap()).is_err());
}
