//! Subject tokens that are refused without asking the cluster: headers, encodings and claims that no service account
//! token has.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use jwtlet_testkit::TokenBuilder;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{EXCHANGE_AUDIENCE, Harness};

const DECADE: i64 = 10 * 365 * 24 * 3600;

/// Presents the token: it is refused, the cluster is not asked about it in any spelling, and Vault signs nothing.
async fn refused_locally(server: &Harness, token: &str) {
    let (reviews, signatures) = (server.kubernetes.reviews(), server.vault.signatures());
    let answer = server.exchange_token(token, &[("resource", "acme")]).await;
    answer.assert_subject_refused(token);
    assert_eq!(server.kubernetes.reviews_of(token.trim()), 0, "{answer}");
    assert_eq!((server.kubernetes.reviews(), server.vault.signatures()), (reviews, signatures), "{answer}");
}

fn good(server: &Harness) -> TokenBuilder {
    server.kubernetes.token("demo", "connector").audience(EXCHANGE_AUDIENCE)
}

/// A token of these texts with a signature of some bytes.
fn raw(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}.{}", encode(header.as_ref()), encode(claims.as_ref()), encode(&[7; 256]))
}

fn claims_text(server: &Harness) -> String {
    let token = server.subject_token();
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn an_algorithm_that_proves_nothing_is_refused() {
    let server = Harness::with_acme().await;
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!(""),
        json!(null),
        json!(7),
        json!("HS256"),
        json!("rs256"),
    ] {
        refused_locally(&server, &good(&server).header("alg", alg).mint()).await;
    }
    refused_locally(&server, &raw(r#"{"kid":"k"}"#, claims_text(&server))).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    for token in [unsigned.to_owned(), format!("{unsigned}.")] {
        refused_locally(&server, &token).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_public_key_used_as_a_shared_secret_is_of_no_use() {
    let server = Harness::with_acme().await;
    let keys = server
        .http
        .get(format!("{}/openid/v1/jwks", server.kubernetes.url()))
        .bearer_auth(server.kubernetes.reviewer_token());
    let keys: Value = keys.send().await.unwrap().json().await.unwrap();
    let secret = EncodingKey::from_base64_secret(keys["keys"][0]["n"].as_str().unwrap());
    let secret =
        secret.unwrap_or_else(|_| EncodingKey::from_secret(keys["keys"][0]["n"].to_string().as_bytes()));
    let claims: Value = serde_json::from_str(&claims_text(&server)).unwrap();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        refused_locally(&server, &encode(&Header::new(algorithm), &claims, &secret).unwrap()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_neither_used_nor_fetched() {
    let server = Harness::with_acme().await;
    let attacker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", attacker.local_addr().unwrap());
    for (name, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!([url])),
        ("jwk", json!({"kty": "oct", "k": "AA"})),
    ] {
        refused_locally(&server, &good(&server).header(name, value).foreign_key().mint()).await;
    }
    tokio::select! {
        biased;
        _ = attacker.accept() => panic!("the attacker's URL was fetched"),
        () = server.exchange_works() => {}
    }
}

#[tokio::test]
async fn header_members_that_change_the_meaning_are_refused() {
    let server = Harness::with_acme().await;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(1)),
        ("kid", json!("a\0b")),
        ("kid", json!("k".repeat(10_000))),
        ("kid", json!(["k"])),
    ] {
        refused_locally(&server, &good(&server).header(name, value).mint()).await;
    }
    let usual = good(&server).header("typ", "JWT").mint();
    assert_eq!(server.exchange_token(&usual, &[("resource", "acme")]).await.status, 200);
}

#[tokio::test]
async fn other_serializations_are_refused() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    let parts: Vec<&str> = token.split('.').collect();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let jwe = format!("{token}.{}.{}", parts[0], parts[1]);
    for token in [json, jwe, format!("{token}.{}", parts[2]), format!("{}.{}", parts[0], parts[1])] {
        refused_locally(&server, &token).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_token_with_anything_around_or_inside_it_reaches_nobody() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    let (head, tail) = token.split_at(token.len() / 2);
    for spoiled in [
        "   ".to_owned(),
        format!("{token} junk"),
        format!("{head} {tail}"),
        format!("{head}\n{tail}"),
        format!("{head}\t{tail}"),
        format!("Bearer {token}"),
        format!("{token}\0"),
        format!("\u{feff}{token}"),
        format!("\"{token}\""),
        format!("{token},{token}"),
    ] {
        refused_locally(&server, &spoiled).await;
    }
    assert_eq!(server.kubernetes.reviews_of(&token), 0);
    server.exchange_works().await;
}

#[tokio::test]
async fn only_canonical_base64url_is_accepted() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    for signature in
        [format!("{signature}=="), format!("+/{}", &signature[2..]), "YR".to_owned(), "YQAAA".to_owned()]
    {
        refused_locally(&server, &format!("{unsigned}.{signature}")).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn json_that_two_parsers_read_differently_is_refused() {
    let server = Harness::with_acme().await;
    let claims = claims_text(&server);
    let first = |member: &str| format!("{{{member},{}", &claims[1..]);
    let utf16: Vec<u8> = claims.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let header = r#"{"alg":"RS256"}"#;
    for claims in [
        first(r#""sub":"system:serviceaccount:ops:admin""#).into_bytes(),
        first(r#""s\u0075b":"system:serviceaccount:ops:admin""#).into_bytes(),
        first(r#""x":{"a":1,"a":2}"#).into_bytes(),
        first(r#""x":"\ud800""#).into_bytes(),
        first(&format!("\"x\":{}{}", "[".repeat(40), "]".repeat(40))).into_bytes(),
        first("\"exp\":NaN").into_bytes(),
        [&b"{\"x\":\"\xff\","[..], &claims.as_bytes()[1..]].concat(),
        utf16,
        format!("\u{feff}{claims}").into_bytes(),
        format!("{claims} x").into_bytes(),
        format!("[{claims}]").into_bytes(),
        b"".to_vec(),
    ] {
        refused_locally(&server, &raw(header, &claims)).await;
    }
    for header in [r#"{"alg":"RS256","alg":"none"}"#, r#"{"alg":"none","\u0061lg":"RS256"}"#, "[]", "null"] {
        refused_locally(&server, &raw(header, &claims)).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn absurd_times_are_refused() {
    let server = Harness::with_acme().await;
    for (claim, value) in [
        ("exp", json!("2999999999")),
        ("exp", json!(-1)),
        ("exp", json!(null)),
        ("exp", json!(1e30)),
        ("exp", json!(1_u64 << 63)),
        ("exp", json!(1000)),
        ("iat", json!(4_000_000_000_u32)),
        ("iat", json!(-1)),
        ("nbf", json!(4_000_000_000_u32)),
        ("nbf", json!("soon")),
    ] {
        refused_locally(&server, &good(&server).claim(claim, value).mint()).await;
    }
    refused_locally(&server, &good(&server).not_before_in(120).mint()).await;
    server.exchange_works().await;
}

#[tokio::test]
async fn an_expired_token_is_refused_without_the_minute_that_kubernetes_grants() {
    let server = Harness::with_acme().await;
    for seconds in [0, -1, -30, -DECADE] {
        refused_locally(&server, &good(&server).expires_in(seconds).mint()).await;
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn a_subject_token_of_ten_years_gives_a_token_of_five_minutes() {
    let server = Harness::with_acme().await;
    let token = good(&server).expires_in(DECADE).mint();
    let claims = server.exchange_token(&token, &[("resource", "acme")]).await.claims();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
}

#[tokio::test]
async fn only_our_exact_audience_counts() {
    let server = Harness::with_acme().await;
    for aud in [
        json!(null),
        json!(""),
        json!([]),
        json!("other"),
        json!("jwtlet"),
        json!("jwtlet-exchange2"),
        json!("Jwtlet-Exchange"),
        json!("jwtlet-exchange/"),
        json!({"jwtlet-exchange": 1}),
        json!(["jwtlet-exchange", 1]),
        json!([server.kubernetes.issuer()]),
    ] {
        refused_locally(&server, &good(&server).claim("aud", aud).mint()).await;
    }
    refused_locally(&server, &good(&server).without("aud").mint()).await;
    let among_others = good(&server).claim("aud", json!(["x", EXCHANGE_AUDIENCE])).mint();
    assert_eq!(server.exchange_token(&among_others, &[("resource", "acme")]).await.status, 200);
}

#[tokio::test]
async fn a_subject_that_is_no_service_account_is_refused() {
    let server = Harness::with_acme().await;
    let long = format!("system:serviceaccount:demo:{}", "a".repeat(300));
    for subject in [
        "system:serviceaccount:demo",
        "system:serviceaccount:demo:connector:x",
        "system:serviceaccount::connector",
        "system:serviceaccount:demo:",
        "system:serviceaccount:*:connector",
        "System:ServiceAccount:demo:connector",
        "system:node:x",
        "system:anonymous",
        "kubernetes-admin",
        "",
        &long,
    ] {
        refused_locally(&server, &good(&server).subject(subject).mint()).await;
    }
    refused_locally(&server, &good(&server).without("sub").mint()).await;
    refused_locally(
        &server,
        &good(&server).claim("sub", json!(["system:serviceaccount:demo:connector"])).mint(),
    )
    .await;
    server.exchange_works().await;
}

#[tokio::test]
async fn tokens_for_the_api_server_are_refused() {
    let server = Harness::with_acme().await;
    refused_locally(&server, &server.kubernetes.token("demo", "connector").mint()).await;
    let legacy = server.kubernetes.token("demo", "connector").issuer("kubernetes/serviceaccount");
    let legacy = legacy.claim("kubernetes.io/serviceaccount/service-account.name", "connector");
    refused_locally(&server, &legacy.without("exp").without("aud").without("kubernetes.io").mint()).await;
    server.exchange_works().await;
}
