//! Published keys and discovery, and that other people's libraries verify tokens with nothing else.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use jwtlet_testkit::{KeyType, Vault};
use serde_json::{Value, json};

use crate::{
    checks::verify,
    harness::{Answer, CONNECTOR, Harness, KEY},
};

const JWKS: &str = "/.well-known/jwks.json";
const KEY_TYPES: [(KeyType, &str); 4] = [
    (KeyType::Ed25519, "EdDSA"),
    (KeyType::EcdsaP256, "ES256"),
    (KeyType::Rsa2048, "RS256"),
    (KeyType::Rsa4096, "RS256"),
];

/// A server with a key of this type, and a token of it for `acme`.
async fn issue(key_type: KeyType) -> (Harness, Answer) {
    let vault = Vault::start().await.unwrap();
    vault.create_key(KEY, key_type).unwrap();
    let server = Harness::start_as_issuer(vault, &[]).await;
    server.map(CONNECTOR, "acme", &["read"], &[]).await;
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read")]).await;
    (server, answer)
}

#[tokio::test]
async fn a_token_of_each_kind_of_key_is_verified_from_discovery_only() {
    for (key_type, alg) in KEY_TYPES {
        let (server, answer) = issue(key_type).await;
        assert_eq!(answer.token_header(), json!({"alg": alg, "typ": "JWT", "kid": format!("{KEY}-1")}));
        let claims = verify(&server.issuer(), "data-space", &answer.access_token()).await;
        assert_eq!(claims["sub"], "acme", "{alg}");
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["id_token_signing_alg_values_supported"], json!([alg]));
    }
}

#[tokio::test]
async fn pyjwt_verifies_a_token_of_each_kind_of_key_from_discovery_only() {
    for (key_type, alg) in KEY_TYPES {
        let (server, answer) = issue(key_type).await;
        let outcome = pyjwt(&server.issuer(), "data-space", &answer.access_token()).await;
        assert_eq!(outcome, Ok(answer.claims()), "{alg}");
    }
}

#[tokio::test]
async fn pyjwt_refuses_what_is_not_for_it() {
    let (server, answer) = issue(KeyType::EcdsaP256).await;
    let token = answer.access_token();
    let refused = pyjwt(&server.issuer(), "another-service", &token).await.unwrap_err();
    assert!(refused.contains("InvalidAudienceError"), "{refused}");
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{unsigned}.{flipped}{}", &signature[1..]);
    let refused = pyjwt(&server.issuer(), "data-space", &forged).await.unwrap_err();
    assert!(refused.contains("InvalidSignatureError"), "{refused}");
}

/// The claims of a token as `PyJWT` verifies it, or what it says against the token.
async fn pyjwt(issuer: &str, audience: &str, token: &str) -> Result<Value, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = package.join("../../.tools/venv/bin/python");
    assert!(
        python.exists(),
        "there is no Python with PyJWT at {}: run scripts/check, which installs it",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(package.join("tests/verify_with_pyjwt.py")).args([issuer, audience]).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let token = token.to_owned();
    // The server under test runs on this thread.
    let run = move || {
        let mut script = command.spawn().unwrap();
        script.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        script.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test]
async fn the_key_set_can_be_cached_and_asked_about_again() {
    let server = Harness::start().await;
    let answer = server.get(JWKS).await;
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let tag = answer.header("etag").unwrap();
    for (names, status) in
        [(tag, 304), (&*format!("\"x\", W/{tag}"), 304), ("*", 304), ("\"x\"", 200), ("x", 200)]
    {
        let request = server.http.get(format!("{}{JWKS}", server.exchange)).header("if-none-match", names);
        let again = Answer::of(request).await;
        assert_eq!((again.status, again.header("etag")), (status, Some(tag)), "{names}");
        assert_eq!(again.header("cache-control"), Some("public, max-age=300"));
        assert_eq!(again.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn the_key_set_holds_public_members_only() {
    for (key_type, expected) in [
        (KeyType::Ed25519, vec!["alg", "crv", "kid", "kty", "use", "x"]),
        (KeyType::EcdsaP256, vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        (KeyType::Rsa3072, vec!["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let (server, _) = issue(key_type).await;
        let keys = server.get(JWKS).await.json();
        let members: Vec<_> = keys["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(members, expected);
        assert_eq!(keys["keys"][0]["kid"], format!("{KEY}-1"));
    }
}

#[tokio::test]
async fn all_versions_of_a_key_are_published() {
    let vault = Vault::start().await.unwrap();
    vault.create_key(KEY, KeyType::Ed25519).unwrap();
    for _ in 0..10 {
        vault.rotate_key(KEY).unwrap();
    }
    let server = Harness::start_as_issuer(vault, &[]).await;
    let keys = server.get(JWKS).await.json();
    let ids: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(ids, (1..=11).map(|version| format!("{KEY}-{version}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn both_discovery_documents_say_the_same() {
    let server = Harness::start().await;
    let oauth = server.get("/.well-known/oauth-authorization-server").await;
    insta::assert_snapshot!(format!("{}\n{:#}", oauth.status, oauth.json()), @r#"
    200
    {
      "grant_types_supported": [
        "urn:ietf:params:oauth:grant-type:token-exchange"
      ],
      "id_token_signing_alg_values_supported": [
        "EdDSA"
      ],
      "issuer": "https://jwtlet.example.com",
      "jwks_uri": "https://jwtlet.example.com/.well-known/jwks.json",
      "response_types_supported": [
        "id_token"
      ],
      "subject_types_supported": [
        "public"
      ],
      "token_endpoint": "https://jwtlet.example.com/token",
      "token_endpoint_auth_methods_supported": [
        "none"
      ]
    }
    "#);
    assert_eq!(oauth.header("content-type"), Some("application/json"));
    assert_eq!(oauth.header("cache-control"), Some("public, max-age=300"));
    let openid = server.get("/.well-known/openid-configuration").await;
    assert_eq!((openid.status, openid.json()), (200, oauth.json()));
}

#[tokio::test]
async fn the_metadata_of_an_issuer_with_a_path_is_where_rfc_8414_looks_for_it() {
    let server = Harness::start_with(&[("JWTLET__ISSUER", "https://example.com/jwtlet/")]).await;
    let metadata = server.get("/.well-known/oauth-authorization-server/jwtlet").await.json();
    assert_eq!(metadata["issuer"], "https://example.com/jwtlet/");
    assert_eq!(metadata["jwks_uri"], "https://example.com/jwtlet/.well-known/jwks.json");
    assert_eq!(metadata["token_endpoint"], "https://example.com/jwtlet/token");
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_with_a_problem() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.get("/nowhere").await, @r#"
    404
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at this path"}
    "#);
    let answer = Answer::of(server.http.post(format!("{}{JWKS}", server.exchange))).await;
    insta::assert_snapshot!(answer, @r#"
    405
    content-type: application/problem+json
    cache-control: no-store
    allow: GET,HEAD
    {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"the Allow header names the methods of this path"}
    "#);
}

#[tokio::test]
async fn an_issuer_with_a_path_that_looks_like_a_route_is_served_like_any_other() {
    for path in ["/tenant", "/:a", "/*a", "/{a}", "/a/:b"] {
        let issuer = format!("https://jwtlet.example.com{path}");
        let server = Harness::start_with(&[("JWTLET__ISSUER", &issuer)]).await;
        let metadata = server.get("/.well-known/openid-configuration").await;
        assert_eq!(metadata.json()["issuer"], issuer.as_str(), "{metadata}");
    }
}

#[tokio::test]
async fn an_issuer_with_a_path_has_its_metadata_after_the_well_known_one() {
    let server = Harness::start_with(&[("JWTLET__ISSUER", "https://jwtlet.example.com/a/b")]).await;
    let metadata = server.get("/.well-known/oauth-authorization-server/a/b").await;
    assert_eq!(metadata.json()["token_endpoint"], "https://jwtlet.example.com/a/b/token", "{metadata}");
}
