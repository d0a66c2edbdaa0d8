//! What a refused exchange looks like: every row of the contract's error table that is the caller's doing.

use reqwest::Method;

use crate::harness::{Answer, CONNECTOR, Harness};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A good request as pairs, with one parameter replaced; an empty value leaves it out.
async fn with(server: &Harness, name: &str, value: &str) -> Answer {
    let token = server.subject_token();
    let good = [
        ("grant_type", GRANT_TYPE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
        ("resource", "acme"),
    ];
    let mut form: Vec<_> = good.into_iter().filter(|(given, _)| *given != name).collect();
    form.push((name, value));
    server.post_form(&form).await
}

#[tokio::test]
async fn a_missing_or_empty_parameter_is_named() {
    let server = Harness::with_acme().await;
    for name in ["grant_type", "subject_token", "subject_token_type", "resource"] {
        let answer = with(&server, name, "").await;
        answer.assert_refused(400, "invalid_request");
        let description = answer.json()["error_description"].to_string();
        assert!(description.contains(&format!("{name} is missing")), "{answer}");
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn an_empty_body_says_what_comes_first() {
    let server = Harness::start().await;
    let answer = server.post_body(FORM, "").await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_request","error_description":"grant_type is missing"}
    "#);
}

#[tokio::test]
async fn a_parameter_given_twice_is_refused_even_with_equal_values() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    for (name, value) in [
        ("grant_type", GRANT_TYPE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
        ("scope", "read"),
        ("requested_token_type", JWT),
    ] {
        let twice = [("resource", "acme"), (name, value), (name, value)];
        let answer = server.exchange_token(&token, &twice).await;
        answer.assert_subject_refused(&token);
        assert!(answer.body.contains(name), "{answer}");
    }
    assert_eq!(server.kubernetes.reviews_of(&token), 0);
    server.exchange_works().await;
}

#[tokio::test]
async fn values_outside_their_lists_are_refused() {
    let server = Harness::with_acme().await;
    for (name, value, error) in [
        ("grant_type", "client_credentials", "unsupported_grant_type"),
        ("grant_type", "URN:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "invalid_request"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2", "invalid_request"),
        ("subject_token_type", "URN:IETF:PARAMS:OAUTH:TOKEN-TYPE:JWT", "invalid_request"),
        ("subject_token_type", " urn:ietf:params:oauth:token-type:jwt ", "invalid_request"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("requested_token_type", "jwt", "invalid_request"),
    ] {
        let answer = with(&server, name, value).await;
        answer.assert_refused(400, error);
        assert!(answer.body.contains(&format!("{name} must be ")), "{answer}");
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn an_actor_token_is_refused_with_and_without_its_type() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    for actor in [
        &[("actor_token", &*token)][..],
        &[("actor_token_type", JWT)],
        &[("actor_token", &token), ("actor_token_type", JWT)],
    ] {
        let answer = server.exchange_token(&token, &[&[("resource", "acme")], actor].concat()).await;
        answer.assert_subject_refused(&token);
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn one_token_is_for_one_resource() {
    let server = Harness::with_acme().await;
    for second in ["globex", "acme"] {
        let answer = server.exchange(&[("resource", "acme"), ("resource", second)]).await;
        answer.assert_refused(400, "invalid_target");
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn names_that_cannot_exist_are_refused_before_the_token_is_looked_at() {
    let server = Harness::with_acme().await;
    let token = server.subject_token();
    let long = "x".repeat(4096);
    for (name, value, error) in [
        ("resource", "a\0b", "invalid_target"),
        ("resource", "tab\there", "invalid_target"),
        ("resource", "\u{202e}emca", "invalid_target"),
        ("resource", "..", "invalid_target"),
        ("resource", &long, "invalid_target"),
        ("audience", "a\nb", "invalid_target"),
        ("audience", "zero\u{200b}width", "invalid_target"),
        ("audience", &long, "invalid_target"),
        ("scope", "read \"write\"", "invalid_scope"),
        ("scope", "back\\slash", "invalid_scope"),
        ("scope", "lesen schreibenä", "invalid_scope"),
        ("scope", "read  write", "invalid_scope"),
        ("scope", " read", "invalid_scope"),
        ("scope", "read\twrite", "invalid_scope"),
        ("scope", &long, "invalid_scope"),
    ] {
        let rest = [("resource", "acme"), (name, value)];
        let rest = if name == "resource" { &rest[1..] } else { &rest };
        server.exchange_token(&token, rest).await.assert_refused(400, error);
    }
    assert_eq!(server.kubernetes.reviews_of(&token), 0);
    server.exchange_works().await;
}

#[tokio::test]
async fn a_request_cannot_ask_for_more_than_a_mapping_can_grant() {
    let server = Harness::with_acme().await;
    let scopes: Vec<String> = (0..1001).map(|i| format!("s{i}")).collect();
    let answer = server.exchange(&[("resource", "acme"), ("scope", &scopes.join(" "))]).await;
    answer.assert_refused(400, "invalid_scope");
    let audiences: Vec<(&str, &str)> = scopes[..101].iter().map(|name| ("audience", name.as_str())).collect();
    let answer = server.exchange(&[&[("resource", "acme")], &audiences[..]].concat()).await;
    answer.assert_refused(400, "invalid_target");
    server.exchange_works().await;
}

#[tokio::test]
async fn without_a_mapping_nothing_tells_whether_the_context_exists() {
    let server = Harness::with_acme().await;
    server.map("system:serviceaccount:other:tenant", "globex", &["secret-scope"], &["secret-audience"]).await;
    let known = server.exchange(&[("resource", "globex"), ("scope", "secret-scope")]).await;
    let unknown = server.exchange(&[("resource", "initech"), ("scope", "secret-scope")]).await;
    assert_eq!(known.body, unknown.body);
    insta::assert_snapshot!(known, @r#"
    403
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"unauthorized_client","error_description":"this client has no mapping for the requested participant context; ask for one to be created"}
    "#);
    for odd in
        ["javascript:alert(1)", "acme#frag", "https://user:pw@acme", "ACME", "acme ", "acme/", "аcme", "*"]
    {
        server.exchange(&[("resource", odd)]).await.assert_refused(403, "unauthorized_client");
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn one_scope_too_many_refuses_the_whole_request() {
    let server = Harness::with_acme().await;
    let signatures = server.vault.signatures();
    let answer = server.exchange(&[("resource", "acme"), ("scope", "read admin write")]).await;
    insta::assert_snapshot!(answer, @r#"
    403
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_scope","error_description":"request only granted scopes; not granted to this client for this participant context: admin"}
    "#);
    server.exchange(&[("resource", "acme"), ("scope", "READ")]).await.assert_refused(403, "invalid_scope");
    assert_eq!(server.vault.signatures(), signatures);
    server.exchange_works().await;
}

#[tokio::test]
async fn one_audience_too_many_refuses_the_whole_request() {
    let server = Harness::with_acme().await;
    let signatures = server.vault.signatures();
    let answer =
        server.exchange(&[("resource", "acme"), ("audience", "data-space"), ("audience", "other")]).await;
    insta::assert_snapshot!(answer, @r#"
    403
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_target","error_description":"request an allowed audience; not allowed for this client and participant context: other"}
    "#);
    for audience in ["*", "\u{fffd}", "naïve \"quoted\""] {
        let answer = server.exchange(&[("resource", "acme"), ("audience", audience)]).await;
        answer.assert_refused(403, "invalid_target");
    }
    assert_eq!(server.vault.signatures(), signatures);
    server.exchange_works().await;
}

/// The body of a good request, ready for more.
fn good_body(server: &Harness) -> String {
    let token = server.subject_token();
    format!("grant_type={GRANT_TYPE}&subject_token_type={JWT}&subject_token={token}&resource=acme")
}

#[tokio::test]
async fn a_body_that_is_not_correctly_encoded_is_refused() {
    let server = Harness::with_acme().await;
    for spoiler in [&b"%"[..], b"x=%", b"x=%4", b"x=%zz", b"%=x", b"x=%+1", b"x=%FF", b"x=%C3%28", b"x=\xff"]
    {
        let body = [good_body(&server).as_bytes(), b"&", spoiler].concat();
        let answer = server.post_body(FORM, body).await;
        answer.assert_refused(400, "invalid_request");
        assert!(answer.body.contains("UTF-8") || answer.body.contains("hexadecimal"), "{answer}");
    }
    assert_eq!(server.post_body(FORM, good_body(&server) + "&x=%C3%A4").await.status, 200);
}

#[tokio::test]
async fn two_content_types_are_one_too_many() {
    let server = Harness::with_acme().await;
    for types in [[FORM, FORM], [FORM, "text/plain"], ["text/plain", FORM]] {
        let request = server.http.post(format!("{}/token", server.exchange)).body(good_body(&server));
        let answer =
            Answer::of(types.into_iter().fold(request, |request, kind| request.header("content-type", kind)));
        let answer = answer.await;
        answer.assert_refused(400, "invalid_request");
        assert!(answer.body.contains("the Content-Type must be given once only"), "{answer}");
    }
}

#[tokio::test]
async fn parameters_in_the_url_do_not_count() {
    let server = Harness::with_acme().await;
    let body = good_body(&server).replace("&resource=acme", "");
    let url = format!("{}/token?resource=acme", server.exchange);
    let answer = Answer::of(server.http.post(&url).header("content-type", FORM).body(body)).await;
    answer.assert_refused(400, "invalid_request");
    assert!(answer.body.contains("resource is missing"), "{answer}");
    let request = server.http.post(url).header("content-type", FORM).body(good_body(&server));
    assert_eq!(Answer::of(request).await.status, 200);
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let server = Harness::with_acme().await;
    let start = good_body(&server) + "&x=";
    let padded = |length: usize| format!("{start}{}", "x".repeat(length - start.len()));
    assert_eq!(server.post_body(FORM, padded(64 * 1024)).await.status, 200);
    let answer = server.post_body(FORM, padded(64 * 1024 + 1)).await;
    answer.assert_refused(413, "invalid_request");
    server.exchange_works().await;
}

#[tokio::test]
async fn only_a_form_is_accepted() {
    let server = Harness::with_acme().await;
    let body = good_body(&server);
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        server.post_body(content_type, body.clone()).await.assert_refused(415, "invalid_request");
    }
    let bare = server.http.post(format!("{}/token", server.exchange)).body(body.clone());
    Answer::of(bare).await.assert_refused(415, "invalid_request");
    for content_type in
        ["Application/X-WWW-Form-URLencoded", "application/x-www-form-urlencoded; charset=UTF-8"]
    {
        assert_eq!(server.post_body(content_type, body.clone()).await.status, 200);
    }
}

#[tokio::test]
async fn methods_other_than_post_are_told_so() {
    let server = Harness::with_acme().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = Answer::of(server.http.request(method, format!("{}/token", server.exchange))).await;
        answer.assert_refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"), "{answer}");
    }
    let head = Answer::of(server.http.head(format!("{}/token", server.exchange))).await;
    assert_eq!((head.status, head.header("allow"), &*head.body), (405, Some("POST"), ""));
    server.exchange_works().await;
}

#[tokio::test]
async fn a_subject_token_that_is_no_jwt_or_too_long_is_refused() {
    let server = Harness::with_acme().await;
    let long = format!("e30.e30.{}", "A".repeat(16 * 1024));
    for token in ["opaque", "a.b", "a.b.c.d", "{}", &long] {
        server.exchange_token(token, &[("resource", "acme")]).await.assert_subject_refused(token);
        assert_eq!(server.kubernetes.reviews_of(token), 0);
    }
    let answer = server.exchange_token(&long, &[("resource", "acme")]).await;
    insta::assert_snapshot!(answer, @r#"
    400
    content-type: application/json
    cache-control: no-store
    pragma: no-cache
    {"error":"invalid_request","error_description":"subject_token is longer than 16384 bytes"}
    "#);
    server.exchange_works().await;
}

#[tokio::test]
async fn the_request_id_comes_back_with_a_refusal_too() {
    let server = Harness::start().await;
    let request = server.http.post(format!("{}/token", server.exchange)).header("x-request-id", "abc-123");
    assert_eq!(Answer::of(request).await.header("x-request-id"), Some("abc-123"));
    let made = server.post_body(FORM, "").await;
    assert_eq!(made.header("x-request-id").map(str::len), Some(32));
}

#[tokio::test]
async fn an_unknown_service_account_has_no_mapping_whatever_it_is_called() {
    let server = Harness::with_acme().await;
    for (namespace, name) in [("demo", "connector2"), ("demo-connector", "x"), ("dem", "o-connector")] {
        server.kubernetes.create_service_account(namespace, name);
        let token = server.kubernetes.token(namespace, name).audience("jwtlet-exchange").mint();
        let answer = server.exchange_token(&token, &[("resource", "acme")]).await;
        answer.assert_refused(403, "unauthorized_client");
    }
    server.map(CONNECTOR, "globex", &[], &[]).await;
    server.exchange_works().await;
}
