//! Tokens, rights, namespaces, the seal, the envelope.

use jwtlet_testkit::{KeyType, TokenPolicy, Vault};
use serde_json::{Value, json};

use crate::http::{client, root, send, vault};

#[tokio::test]
async fn a_signer_signs_and_reads_and_nothing_else() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::EcdsaP256).unwrap();
    let signer = server.create_token(&TokenPolicy::signer("k"));
    let creator = server.create_token(&TokenPolicy::signer_and_creator("new"));
    let input = || Some(json!({ "input": "YQ==" }));
    assert_eq!(vault(&server, &signer, "POST", "transit/sign/k", input()).await.0, 200);
    assert_eq!(vault(&server, &signer, "PUT", "transit/sign/k", input()).await.0, 200);
    assert_eq!(vault(&server, &signer, "GET", "transit/keys/k", None).await.0, 200);
    let denied = (403, json!({ "errors": ["permission denied"] }));
    assert_eq!(vault(&server, &signer, "POST", "transit/sign/k/sha2-384", input()).await, denied);
    assert_eq!(vault(&server, &signer, "POST", "transit/keys/k/rotate", None).await, denied);
    assert_eq!(vault(&server, &signer, "POST", "transit/keys/k", None).await, denied);
    assert_eq!(vault(&server, &signer, "GET", "transit/keys/other", None).await, denied);
    assert_eq!(vault(&server, &creator, "POST", "transit/keys/new", None).await.0, 200);
}

#[tokio::test]
async fn missing_unknown_revoked_and_used_up_tokens_look_the_same() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    let revoked = server.create_token(&TokenPolicy::signer("k"));
    server.revoke_token(&revoked);
    let once = server.create_token(&TokenPolicy::signer("k").num_uses(1));
    assert_eq!(vault(&server, &once, "GET", "transit/keys/k", None).await.0, 200);
    let denied = (403, json!({ "errors": ["permission denied"] }));
    for token in ["", "hvs.nonsense", &revoked, &once] {
        assert_eq!(vault(&server, token, "GET", "transit/keys/k", None).await, denied);
    }
}

#[tokio::test]
async fn a_bearer_token_is_as_good_as_the_header_of_vault() {
    let server = Vault::start().await.unwrap();
    let url = server.url() + "/v1/auth/token/lookup-self";
    assert_eq!(send(client(None).get(url).bearer_auth(server.root_token())).await.0, 200);
}

#[tokio::test]
async fn a_namespace_is_named_in_the_header_or_in_the_path() {
    let server = Vault::builder().namespace("team-a").mount("signing").start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    let token = server.create_token(&TokenPolicy::signer("k"));
    let get =
        |path: &str| client(None).get(format!("{}/v1/{path}", server.url())).header("x-vault-token", &token);

    let response = get("signing/keys/k").header("x-vault-namespace", "team-a/").send().await.unwrap();

    assert_eq!(
        (response.status().as_u16(), &response.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    assert_eq!(send(get("team-a/signing/keys/k")).await.0, 200);
    assert_eq!(send(get("signing/keys/k")).await.0, 403);
    assert_eq!(send(get("signing/keys/k").header("x-vault-namespace", "team-b")).await.0, 404);
    assert_eq!(server.calls_to("signing/keys/k"), 4);
}

#[tokio::test]
async fn a_sealed_vault_answers_503_to_everything() {
    let server = Vault::start().await.unwrap();
    server.seal(true);
    let sealed = (503, json!({ "errors": ["Vault is sealed"] }));
    assert_eq!(root(&server, "GET", "transit/keys/k", None).await, sealed);
    assert_eq!(vault(&server, "", "GET", "sys/health", None).await.0, 503);
    let (status, body) = vault(&server, "", "GET", "sys/seal-status", None).await;
    assert_eq!((status, &body["sealed"]), (200, &json!(true)));
    server.seal(false);
    assert_eq!(vault(&server, "", "GET", "sys/health", None).await.0, 200);
}

#[tokio::test]
async fn wrong_methods_paths_and_bodies_are_told_apart() {
    let server = Vault::start().await.unwrap();
    assert_eq!(root(&server, "GET", "transit/sign/k", None).await.0, 405);
    assert_eq!(root(&server, "POST", "transit/nothing/k", None).await.0, 404);
    assert_eq!(root(&server, "POST", "transit/keys/-k", None).await.0, 404);
    assert_eq!(root(&server, "GET", "transit/keys/%2e%2e%2fk", None).await.0, 400);
    let url = server.url() + "/v1/transit/keys/k";
    let broken = client(None).post(url).header("x-vault-token", server.root_token()).body("{");
    assert_eq!(send(broken).await.0, 400);
}

#[tokio::test]
async fn a_hook_sees_and_changes_answers() {
    let server = Vault::start().await.unwrap();
    server.create_key("k", KeyType::Ed25519).unwrap();
    server.on_answer(|method, path, answer| {
        if method == "POST" && path == "transit/sign/k" {
            answer["data"]["signature"] = json!("vault:v9:AAAA");
        }
    });
    let (_, body) = root(&server, "POST", "transit/sign/k", Some(json!({ "input": "" }))).await;
    assert_eq!(body["data"]["signature"], "vault:v9:AAAA");
    assert_eq!(
        (&body["lease_id"], &body["auth"], &body["wrap_info"]),
        (&json!(""), &Value::Null, &Value::Null)
    );
    assert_eq!(server.calls(), 1);
}
