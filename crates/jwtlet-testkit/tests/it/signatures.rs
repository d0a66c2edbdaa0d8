//! Single signatures, verified with the public keys that Vault shows.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwtlet_testkit::{KeyType, Vault};
use serde_json::{Value, json};

use crate::http::root;

const MESSAGE: &[u8] = b"header.payload";
const LONGEST_SALT: RsaParameters = RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);

async fn sign(server: &Vault, options: Value) -> (u16, Value) {
    let mut body = json!({ "input": STANDARD.encode(MESSAGE) });
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    root(server, "POST", "transit/sign/k", Some(body)).await
}

fn public_key(server: &Vault, algorithm: &'static dyn VerificationAlgorithm) -> UnparsedPublicKey<Vec<u8>> {
    let text = server.public_key("k", 1).unwrap();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    UnparsedPublicKey::new(algorithm, STANDARD.decode(base64).unwrap())
}

/// Signs with `options` and verifies; returns the raw signature.
async fn round_trip(
    key_type: KeyType,
    options: Value,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Vec<u8> {
    let server = Vault::start().await.unwrap();
    server.create_key("k", key_type).unwrap();
    let jws = options.get("marshaling_algorithm").is_some();
    let (status, body) = sign(&server, options).await;
    assert_eq!(
        (status, &body["data"]["key_version"], &body["warnings"]),
        (200, &json!(1), &Value::Null),
        "{body}"
    );
    let signature = body["data"]["signature"].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
    let alphabet = if jws { URL_SAFE_NO_PAD } else { STANDARD };
    let signature = alphabet.decode(signature).unwrap();
    public_key(&server, algorithm).verify(MESSAGE, &signature).unwrap();
    signature
}

#[tokio::test]
async fn every_jws_algorithm_verifies_and_has_its_length() {
    let jws = |hash: &str| json!({ "hash_algorithm": hash, "marshaling_algorithm": "jws" });
    let rsa = |scheme: &str| json!({ "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws", "signature_algorithm": scheme, "salt_length": "hash" });
    assert_eq!(round_trip(KeyType::Ed25519, jws("sha2-256"), &ED25519).await.len(), 64);
    assert_eq!(round_trip(KeyType::EcdsaP256, jws("sha2-256"), &ECDSA_P256_SHA256_FIXED).await.len(), 64);
    assert_eq!(round_trip(KeyType::EcdsaP384, jws("sha2-384"), &ECDSA_P384_SHA384_FIXED).await.len(), 96);
    assert_eq!(round_trip(KeyType::EcdsaP521, jws("sha2-512"), &ECDSA_P521_SHA512_FIXED).await.len(), 132);
    assert_eq!(round_trip(KeyType::Rsa2048, rsa("pkcs1v15"), &RSA_PKCS1_2048_8192_SHA256).await.len(), 256);
    assert_eq!(round_trip(KeyType::Rsa2048, rsa("pss"), &RSA_PSS_2048_8192_SHA256).await.len(), 256);
}

#[tokio::test]
async fn the_defaults_are_der_sha256_and_the_longest_salt() {
    assert_eq!(round_trip(KeyType::EcdsaP256, json!({}), &ECDSA_P256_SHA256_ASN1).await[0], 0x30);
    round_trip(KeyType::EcdsaP384, json!({}), &ECDSA_P384_SHA256_ASN1).await;
    round_trip(KeyType::EcdsaP256, json!({ "hash_algorithm": "sha2-384" }), &ECDSA_P256_SHA384_ASN1).await;
    round_trip(KeyType::Rsa2048, json!({}), &LONGEST_SALT).await;
}

#[tokio::test]
async fn a_strict_verifier_refuses_the_longest_salt() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Rsa2048).unwrap();
    let (_, body) = sign(&server, json!({})).await;
    let signature = body["data"]["signature"].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    assert!(public_key(&server, &RSA_PSS_2048_8192_SHA256).verify(MESSAGE, &signature).is_err());
}

#[tokio::test]
async fn a_misspelt_option_is_only_a_warning_and_a_missing_input_signs_nothing() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    let body = json!({ "inptu": "aaaa", "marshaling": "jws" });
    let (status, body) = root(&server, "POST", "transit/sign/k", Some(body)).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["warnings"],
        json!(["Endpoint ignored these unrecognized parameters: [inptu marshaling]"])
    );
    let signature = body["data"]["signature"].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
    public_key(&server, &ED25519).verify(b"", &STANDARD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn malformed_options_are_the_callers_fault() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::EcdsaP256).unwrap();
    for options in [
        json!({ "hash_algorithm": "md5" }),
        json!({ "marshaling_algorithm": "xml" }),
        json!({ "salt_length": "some" }),
        json!({ "input": "a-_b" }),
        json!({ "input": "YQ" }),
        json!({ "hash_algorithm": "none" }),
        json!({ "key_version": "new" }),
    ] {
        let (status, body) = sign(&server, options.clone()).await;
        assert_eq!((status, body["errors"].as_array().unwrap().len()), (400, 1), "{options}");
    }
}

#[tokio::test]
async fn versions_that_may_not_sign_are_internal_errors() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    for _ in 0..3 {
        server.rotate_key("k").unwrap();
    }
    server.set_min_encryption_version("k", 3).unwrap();
    for (version, error) in [
        (5, "requested version for signing is higher than the latest key version"),
        (-1, "requested version for signing is negative"),
        (2, "requested version for signing is less than the minimum encryption key version"),
    ] {
        let (status, body) = sign(&server, json!({ "key_version": version })).await;
        assert_eq!(
            (status, &body["errors"][0]),
            (500, &json!(format!("1 error occurred:\n\t* {error}\n\n")))
        );
    }
    assert_eq!(sign(&server, json!({ "key_version": 3 })).await.1["data"]["key_version"], 3);
    assert_eq!(sign(&server, json!({})).await.1["data"]["key_version"], 4);
    server.set_min_encryption_version("k", 0).unwrap();
    server.set_min_decryption_version("k", 2).unwrap();
    assert_eq!(sign(&server, json!({ "key_version": 1 })).await.0, 500);
    server.soft_delete_key("k").unwrap();
    let (status, body) = sign(&server, json!({})).await;
    assert!(status == 500 && body.to_string().contains("refusing to use soft-deleted key"), "{body}");
}

#[tokio::test]
async fn a_derived_key_signs_per_context_and_tells_its_public_key() {
    let server = Vault::start().await.unwrap();
    root(&server, "POST", "transit/keys/k", Some(json!({ "type": "ed25519", "derived": true }))).await;
    let (_, body) = sign(&server, json!({ "context": STANDARD.encode("a") })).await;
    let public = STANDARD.decode(body["data"]["public_key"].as_str().unwrap()).unwrap();
    let signature = body["data"]["signature"].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
    let public = UnparsedPublicKey::new(&ED25519, public);
    public.verify(MESSAGE, &STANDARD.decode(signature).unwrap()).unwrap();
    assert_eq!(sign(&server, json!({})).await.0, 500);
}

#[tokio::test]
async fn the_hash_in_the_path_beats_the_one_in_the_body() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::EcdsaP256).unwrap();
    let body = || Some(json!({ "input": "", "hash_algorithm": "sha2-256" }));
    assert_eq!(root(&server, "POST", "transit/sign/k/md5", body()).await.0, 400);
    assert_eq!(root(&server, "POST", "transit/sign/k/sha2-512", body()).await.0, 200);
}
