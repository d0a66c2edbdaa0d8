//! What an exchange gives: response, token, and how policy shapes both.

use jsonwebtoken::jwk::JwkSet;
use jwtlet_testkit::Vault;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    checks::verify,
    harness::{Answer, CONNECTOR, Harness},
};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

#[tokio::test]
async fn an_exchange_answers_as_rfc_8693_asks() {
    let server = Harness::with_acme().await;
    let answer = server.exchange(&[("resource", "acme"), ("scope", "write read")]).await;
    insta::assert_snapshot!(answer.redacted(), @r#"
    200
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"access_token":"[token]","issued_token_type":"urn:ietf:params:oauth:token-type:jwt","token_type":"Bearer","expires_in":300,"scope":"write read"}
    "#);
}

#[tokio::test]
async fn the_token_has_exactly_the_claims_of_the_contract() {
    let server = Harness::with_acme().await;
    server.map_scope("read", json!({"scope": "read", "role": "reader"})).await;
    let uid = server.kubernetes.create_service_account("demo", "connector");
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read")]).await;
    let mut claims = answer.claims();
    let issued_at = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["nbf"], issued_at);
    assert_eq!(claims["exp"], issued_at + 300);
    assert_eq!(claims["act"]["k8s_uid"], uid);
    let id: Uuid = claims["jti"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
    for name in ["iat", "nbf", "exp", "jti"] {
        claims[name] = json!("..");
    }
    claims["act"]["k8s_uid"] = json!("..");
    insta::assert_snapshot!(format!("{}\n{claims:#}", answer.token_header()), @r#"
    {"alg":"EdDSA","kid":"signing-jwtlet_pc-1","typ":"JWT"}
    {
      "act": {
        "iss": "https://kubernetes.default.svc.cluster.local",
        "k8s_uid": "..",
        "sub": "system:serviceaccount:demo:connector"
      },
      "aud": "data-space",
      "exp": "..",
      "iat": "..",
      "iss": "https://jwtlet.example.com",
      "jti": "..",
      "jwtlet_pc": "acme",
      "nbf": "..",
      "role": "reader",
      "scope": "read",
      "sub": "acme"
    }
    "#);
}

#[tokio::test]
async fn the_token_is_verified_with_nothing_but_the_issuers_discovery_document() {
    let server = Harness::start_as_issuer(Vault::start().await.unwrap(), &[]).await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    let answer = server.exchange(&[("resource", "acme")]).await;
    let issuer = server.issuer();
    let claims = verify(&issuer, "data-space", &answer.access_token()).await;
    assert_eq!(claims, answer.claims());
    assert_eq!(claims["iss"], issuer);
}

#[tokio::test]
async fn the_configuration_shapes_the_token() {
    let server = Harness::start_with(&[
        ("JWTLET__ISSUER", "https://issuer.example.com/path/"),
        ("JWTLET__TOKEN__AUDIENCE", "elsewhere"),
        ("JWTLET__TOKEN__PARTICIPANT_CONTEXT_CLAIM", "tenant"),
        ("JWTLET__TOKEN__TOKEN_TTL_SECS", "1"),
    ])
    .await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    let answer = server.exchange(&[("resource", "acme")]).await;
    let claims = answer.claims();
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("https://issuer.example.com/path/"), &json!("elsewhere"))
    );
    assert_eq!((&claims["tenant"], &claims["jwtlet_pc"]), (&json!("acme"), &Value::Null));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1);
    assert_eq!(answer.json()["expires_in"], 1);
}

#[tokio::test]
async fn every_token_has_an_id_of_its_own() {
    let server = Harness::with_acme().await;
    let first = server.exchange(&[("resource", "acme")]).await.claims();
    let second = server.exchange(&[("resource", "acme")]).await.claims();
    assert_ne!(first["jti"], second["jti"]);
}

#[tokio::test]
async fn the_issued_token_type_is_what_was_requested() {
    let server = Harness::with_acme().await;
    for (requested, issued) in [("", JWT), (JWT, JWT), (ACCESS_TOKEN, ACCESS_TOKEN)] {
        let answer = server.exchange(&[("resource", "acme"), ("requested_token_type", requested)]).await;
        assert_eq!(
            (answer.status, &answer.json()["issued_token_type"]),
            (200, &json!(issued)),
            "{requested}"
        );
        assert_eq!(answer.json()["token_type"], "Bearer");
    }
}

#[tokio::test]
async fn without_scopes_the_response_has_none() {
    let server = Harness::with_acme().await;
    for scope in [&[][..], &[("scope", "")]] {
        let answer = server.exchange(&[&[("resource", "acme")], scope].concat()).await;
        assert_eq!((answer.status, answer.json().get("scope")), (200, None), "{answer}");
    }
}

#[tokio::test]
async fn scopes_come_back_in_request_order_and_each_once() {
    let server = Harness::with_acme().await;
    let answer = server.exchange(&[("resource", "acme"), ("scope", "write read write")]).await;
    assert_eq!(answer.json()["scope"], "write read");
}

#[tokio::test]
async fn a_scope_without_a_scope_mapping_adds_no_claim() {
    let server = Harness::with_acme().await;
    let plain = server.exchange(&[("resource", "acme")]).await.claims();
    let scoped = server.exchange(&[("resource", "acme"), ("scope", "read")]).await.claims();
    assert!(plain.as_object().unwrap().keys().eq(scoped.as_object().unwrap().keys()));
}

#[tokio::test]
async fn several_audiences_become_an_array_in_request_order_and_each_once() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &[], &["a", "b", "c"]).await;
    let audiences = [("audience", "c"), ("audience", "a"), ("audience", "c")];
    let answer = server.exchange(&[&[("resource", "acme")][..], &audiences].concat()).await;
    assert_eq!(answer.claims()["aud"], json!(["c", "a"]));
    let same = [("resource", "acme"), ("audience", "b"), ("audience", "b")];
    assert_eq!(server.exchange(&same).await.claims()["aud"], "b");
}

#[tokio::test]
async fn every_row_of_the_audience_table_holds() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "open", &[], &[]).await;
    server.map(CONNECTOR, "with-default", &[], &["other", "data-space"]).await;
    server.map(CONNECTOR, "without-default", &[], &["other"]).await;
    for (context, requested, granted) in [
        ("open", "", Some("data-space")),
        ("with-default", "", Some("data-space")),
        ("without-default", "", None),
        ("open", "data-space", Some("data-space")),
        ("open", "other", None),
        ("without-default", "other", Some("other")),
        ("without-default", "data-space", None),
        ("with-default", "Other", None),
    ] {
        let answer = server.exchange(&[("resource", context), ("audience", requested)]).await;
        match granted {
            Some(audience) => assert_eq!(answer.claims()["aud"], audience, "{context} {requested}"),
            None => answer.assert_refused(403, "invalid_target"),
        }
    }
}

#[tokio::test]
async fn white_space_around_the_subject_token_is_trimmed() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    for around in [format!("{token}\n"), format!("\r\n\t {token} \r\n")] {
        let answer = server.exchange_token(&around, &[("resource", "acme")]).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(server.kubernetes.reviews_of(&around), 0);
    }
    assert_eq!(server.kubernetes.reviews_of(&token), 2);
}

#[tokio::test]
async fn unknown_and_empty_parameters_count_as_absent() {
    let server = Harness::with_acme().await;
    let noise =
        [("client_id", "x"), ("", "y"), ("x", ""), ("audience", ""), ("actor_token", ""), ("resource", "")];
    let answer = server.exchange(&[&[("resource", "acme")][..], &noise, &noise].concat()).await;
    assert_eq!((answer.status, &answer.claims()["aud"]), (200, &json!("data-space")), "{answer}");
}

#[tokio::test]
async fn a_mapping_grants_until_it_expires() {
    let server = Harness::start().await;
    for (context, expires_at, status) in
        [("past", "2020-01-01T00:00:00Z", 403), ("future", "2999-01-01T00:00:00+02:00", 200)]
    {
        let mapping = json!({
            "clientIdentifier": CONNECTOR, "participantContext": context, "scopes": [], "expiresAt": expires_at,
        });
        assert_eq!(server.manage(Method::POST, "/mappings", "admin", Some(&mapping)).await.status, 201);
        let answer = server.exchange(&[("resource", context)]).await;
        assert_eq!(answer.status, status, "{answer}");
    }
    let answer = server.exchange(&[("resource", "past")]).await;
    answer.assert_refused(403, "unauthorized_client");
}

#[tokio::test]
async fn a_change_of_policy_shows_in_the_very_next_exchange() {
    let server = Harness::start().await;
    let request = [("resource", "acme"), ("scope", "read")];
    let path = format!("/mappings/{CONNECTOR}");
    for round in 0..5 {
        server.exchange(&request).await.assert_refused(403, "unauthorized_client");
        server.map(CONNECTOR, "acme", &["read"], &[]).await;
        assert_eq!(server.exchange(&request).await.status, 200, "round {round}");
        assert_eq!(server.manage(Method::DELETE, &path, "admin", None).await.status, 204);
    }
}

#[tokio::test]
async fn scopes_that_define_a_claim_differently_are_not_granted_together() {
    let server = Harness::with_acme().await;
    server.map_scope("read", json!({"role": "reader", "n": 1})).await;
    server.map_scope("write", json!({"role": "writer", "n": 1})).await;
    let signatures = server.vault.signatures();
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read write")]).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_scope","error_description":"the scopes read and write define the claim role differently; request them one at a time"}
    "#);
    assert_eq!(server.vault.signatures(), signatures);
    assert_eq!(server.exchange(&[("resource", "acme"), ("scope", "write")]).await.claims()["role"], "writer");
}

#[tokio::test]
async fn arrays_and_words_of_several_scopes_are_united_in_request_order() {
    let server = Harness::with_acme().await;
    server.map_scope("read", json!({"scope": "r all", "roles": ["a", 1], "tier": {"x": 1}})).await;
    server.map_scope("write", json!({"scope": "w all", "roles": [1, "b"], "tier": {"x": 1}})).await;
    let claims = server.exchange(&[("resource", "acme"), ("scope", "write read")]).await.claims();
    assert_eq!(claims["scope"], "w all r");
    assert_eq!(claims["roles"], json!([1, "b", "a"]));
    assert_eq!(claims["tier"], json!({"x": 1}));
}

#[tokio::test]
async fn a_scope_mapping_cannot_define_what_jwtlet_itself_says() {
    let server = Harness::with_acme().await;
    for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "cnf", "jwtlet_pc"] {
        let mapping = json!({"scope": "read", "claims": {claim: "forged"}});
        let answer = server.manage(Method::POST, "/scopes", "admin", Some(&mapping)).await;
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(claim), "{answer}");
    }
    let claims = server.exchange(&[("resource", "acme"), ("scope", "read")]).await.claims();
    assert!(!claims.to_string().contains("forged"), "{claims}");
}

#[tokio::test]
async fn a_platforms_real_policy_gives_one_scope_claim_with_each_word_once() {
    const AGENTS: &str = "system:serviceaccount:edc-v:cfm-agents";
    const CONTEXT: &str = "3f2a9c0e5b7d41868c1e0d9f4a6b2c35";
    let server = Harness::start().await;
    server.kubernetes.create_service_account("edc-v", "cfm-agents");
    let narrow: Vec<String> =
        (0..60).map(|i| format!("api-{}:{}", i / 2, ["read", "write"][i % 2])).collect();
    let claims = narrow.iter().map(|scope| json!({"scope": scope, "claims": {"scope": scope}}));
    let tier = |verb: &str| {
        let words: Vec<_> = narrow.iter().filter(|scope| scope.ends_with(verb)).map(String::as_str).collect();
        json!({"scope": verb, "claims": {"scope": words.join(" "), "tenant_roles": [verb]}})
    };
    let scopes: Value = claims.chain([tier("read"), tier("write")]).collect();
    assert_eq!(server.manage(Method::POST, "/scopes", "admin", Some(&scopes)).await.status, 201);
    let granted: Vec<&str> = narrow.iter().map(String::as_str).chain(["read", "write"]).collect();
    server.map(AGENTS, CONTEXT, &granted, &["edcv"]).await;

    let token = server.kubernetes.token("edc-v", "cfm-agents").audience("jwtlet-exchange").mint();
    let scope = granted.join(" ");
    let request = [("resource", CONTEXT), ("scope", &scope), ("audience", "edcv")];
    let answer = server.exchange_token(&token, &request).await;
    let claims = answer.claims();
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["act"]["sub"]),
        (&json!(CONTEXT), &json!("edcv"), &json!(AGENTS))
    );
    assert_eq!(claims["scope"], narrow.join(" "));
    assert_eq!(claims["tenant_roles"], json!(["read", "write"]));
    assert_eq!(answer.json()["scope"], scope);
    assert_eq!(claim_names(&answer).matches("\"scope\":").count(), 1);
}

/// The claims as they stand in the token: a JSON parser would hide that one repeats.
fn claim_names(answer: &Answer) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = answer.access_token();
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn the_kid_names_a_published_key() {
    let server = Harness::with_acme().await;
    let header = server.exchange(&[("resource", "acme")]).await.token_header();
    let keys: JwkSet = serde_json::from_str(&server.get("/.well-known/jwks.json").await.body).unwrap();
    assert!(keys.find(header["kid"].as_str().unwrap()).is_some());
}
