//! Who may call the management API: roles, tokens, and what happens when a token cannot be checked.

use std::fmt::Write;

use jwtlet_testkit::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, EXCHANGE_AUDIENCE, Harness, MANAGEMENT_AUDIENCE};

/// Every call of the management API, with a body that is right for it.
fn calls(operator: &str) -> Vec<(Method, &'static str, Option<Value>)> {
    let mapping =
        |client: &str| json!({"clientIdentifier": client, "participantContext": "pc", "scopes": []});
    let scope = |scope: &str| json!({"scope": scope, "claims": {}});
    vec![
        (Method::GET, "/mappings", None),
        (Method::GET, "/mappings/client/pc", None),
        (Method::POST, "/mappings", Some(mapping(operator))),
        (Method::PUT, "/mappings/client/pc", Some(mapping("client"))),
        (Method::DELETE, "/mappings/client/pc", None),
        (Method::DELETE, "/mappings/client", None),
        (Method::GET, "/scopes", None),
        (Method::GET, "/scopes/read", None),
        (Method::POST, "/scopes", Some(scope(operator))),
        (Method::PUT, "/scopes/read", Some(scope("read"))),
        (Method::DELETE, "/scopes/read", None),
        (Method::GET, "/audit", None),
        (Method::GET, "/audit/verify", None),
        (Method::POST, "/explain", Some(json!({"clientIdentifier": "client", "participantContext": "pc"}))),
        (Method::GET, "/lint", None),
    ]
}

#[tokio::test]
async fn each_role_may_make_its_calls_and_no_others() {
    let server = Harness::start().await;
    let operators = ["reader", "mapper", "scoper", "admin", "nobody"];
    let mut table = format!("{:27}{}\n", "", operators.map(|name| format!("{name:7}")).concat().trim_end());
    for (i, (method, path, _)) in calls("").into_iter().enumerate() {
        write!(table, "{:27}", format!("{method} {path}")).unwrap();
        for operator in operators {
            let body = calls(operator).swap_remove(i).2;
            let answer = server.manage(method.clone(), path, operator, body.as_ref()).await;
            write!(table, "{:<7}", answer.status).unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @"
                               reader mapper scoper admin  nobody
    GET /mappings              200    403    403    200    403
    GET /mappings/client/pc    404    403    403    404    403
    POST /mappings             403    201    403    201    403
    PUT /mappings/client/pc    403    404    403    404    403
    DELETE /mappings/client/pc 403    204    403    204    403
    DELETE /mappings/client    403    204    403    204    403
    GET /scopes                200    403    403    200    403
    GET /scopes/read           404    403    403    404    403
    POST /scopes               403    403    201    201    403
    PUT /scopes/read           403    403    404    404    403
    DELETE /scopes/read        403    403    204    204    403
    GET /audit                 200    403    403    200    403
    GET /audit/verify          200    403    403    200    403
    POST /explain              200    403    403    200    403
    GET /lint                  200    403    403    200    403
    ");
}

#[tokio::test]
async fn a_missing_role_is_named() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.manage(Method::GET, "/mappings", "mapper", None).await, @r#"
    403
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Forbidden","status":403,"detail":"system:serviceaccount:ops:mapper needs the role jwtlet:management:read in [service_accounts]"}
    "#);
}

#[tokio::test]
async fn without_a_bearer_token_a_call_is_challenged() {
    let server = Harness::start().await;
    let url = format!("{}/api/v1/mappings", server.management);
    insta::assert_snapshot!(Answer::of(server.http.get(&url)).await, @r#"
    401
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer realm="jwtlet"
    {"type":"about:blank","title":"Unauthorized","status":401,"detail":"one Authorization header with a bearer token is needed"}
    "#);
    let token = server.operator_token("admin");
    for value in ["Basic YTpi", "Bearer", &token, ""] {
        let answer = Answer::of(server.http.get(&url).header("authorization", value)).await;
        assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true), "{value:.9}");
    }
    let twice = server.http.get(&url).bearer_auth(&token).bearer_auth(&token);
    assert_eq!(Answer::of(twice).await.status, 401);
    assert_eq!(server.manage(Method::GET, "/mappings", "admin", None).await.status, 200);
}

#[tokio::test]
async fn the_scheme_of_the_header_is_written_in_any_case() {
    let server = Harness::start().await;
    let url = format!("{}/api/v1/mappings", server.management);
    let value = format!("bEARER {}", server.operator_token("admin"));
    assert_eq!(Answer::of(server.http.get(url).header("authorization", value)).await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_with_the_reason() {
    let server = Harness::start().await;
    let token = || server.kubernetes.token("ops", "admin");
    let for_management = || token().audience(MANAGEMENT_AUDIENCE);
    let deleted = server.kubernetes.token("ops", "deleted").audience(MANAGEMENT_AUDIENCE).mint();
    let mut reasons = String::new();
    for (what, token) in [
        ("junk", "junk".to_owned()),
        ("with a leading space", format!(" {}", for_management().mint())),
        ("expired", for_management().expires_in(-10).mint()),
        ("not valid yet", for_management().not_before_in(3600).mint()),
        ("for another audience", token().audience("other").mint()),
        ("for the exchange", token().audience(EXCHANGE_AUDIENCE).mint()),
        ("for the API server", token().mint()),
        ("of a foreign key", for_management().foreign_key().mint()),
        ("of no account", deleted),
        ("too long", format!("{}.a.a", "a".repeat(16 * 1024))),
    ] {
        let url = format!("{}/api/v1/mappings", server.management);
        let answer =
            Answer::of(server.http.get(url).header("authorization", format!("Bearer {token}"))).await;
        assert_eq!(answer.status, 401, "{what}: {answer}");
        let challenge = answer.header("www-authenticate").unwrap();
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(challenge.starts_with("Bearer realm=\"jwtlet\", error=\"invalid_token\", "), "{challenge}");
        assert!(challenge.ends_with(&format!("error_description=\"{detail}\"")), "{challenge}");
        writeln!(reasons, "{what}: {detail}").unwrap();
    }
    insta::assert_snapshot!(reasons, @"
    junk: the bearer token is not a JWT in compact form (three base64url parts joined by dots, without padding)
    with a leading space: the bearer token is not a JWT in compact form (three base64url parts joined by dots, without padding)
    expired: the bearer token has expired; read the token file again and present the current token
    not valid yet: the bearer token is not valid yet; check the clocks
    for another audience: the bearer token is not bound to the audience jwtlet-management; request a token with that audience
    for the exchange: the bearer token is not bound to the audience jwtlet-management; request a token with that audience
    for the API server: the bearer token is not bound to the audience jwtlet-management; request a token with that audience
    of a foreign key: the bearer token is not accepted by the cluster; present the current token of an existing service account
    of no account: the bearer token is not accepted by the cluster; present the current token of an existing service account
    too long: the bearer token is longer than 16384 bytes
    ");
    assert_eq!(server.manage(Method::GET, "/mappings", "admin", None).await.status, 200);
}

#[tokio::test]
async fn a_management_token_is_not_good_for_an_exchange() {
    let server = Harness::with_acme().await;
    let token = server.kubernetes.token("demo", "connector").audience(MANAGEMENT_AUDIENCE).mint();
    server.exchange_token(&token, &[("resource", "acme")]).await.assert_subject_refused(&token);
}

#[tokio::test]
async fn without_an_audience_of_its_own_the_api_takes_tokens_for_the_exchange() {
    let server = Harness::start_with(&[("JWTLET__MANAGEMENT__CLIENT_AUDIENCE", EXCHANGE_AUDIENCE)]).await;
    let token = server.kubernetes.token("ops", "admin").audience(EXCHANGE_AUDIENCE).mint();
    let url = format!("{}/api/v1/mappings", server.management);
    assert_eq!(Answer::of(server.http.get(url).bearer_auth(token)).await.status, 200);
}

#[tokio::test]
async fn a_token_that_cannot_be_checked_is_nobodys_fault() {
    let server = Harness::start().await;
    server.kubernetes.stop().await;
    insta::assert_snapshot!(server.manage(Method::GET, "/mappings", "admin", None).await, @r#"
    503
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 1
    {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Kubernetes does not answer; try again"}
    "#);
    server.kubernetes.restart().await.unwrap();
    assert_eq!(server.manage(Method::GET, "/mappings", "admin", None).await.status, 200);
}

#[tokio::test]
async fn when_kubernetes_refuses_jwtlet_itself_the_caller_is_sent_to_the_operator() {
    let server = Harness::start().await;
    server.kubernetes.forbid_reviews(true);
    let answer = server.manage(Method::GET, "/mappings", "admin", None).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer}");
    assert_eq!(answer.json()["detail"], "Kubernetes cannot be used; tell the operator");
}

#[tokio::test]
async fn an_overloaded_kubernetes_says_when_to_come_back() {
    let server = Harness::start().await;
    let wait = std::time::Duration::from_secs(7);
    server.kubernetes.faults().next_on_path(1, "/apis", Fault::too_many_requests(wait));
    let answer = server.manage(Method::GET, "/scopes", "admin", None).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")), "{answer}");
}

#[tokio::test]
async fn refused_credentials_of_jwtlet_are_not_the_callers_fault() {
    let server = Harness::start().await;
    server.kubernetes.forbid_reviews(true);
    let answer = server.manage(Method::DELETE, "/mappings/a", "admin", None).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (503, None), "{answer}");
}

#[tokio::test]
async fn who_has_no_role_learns_nothing_about_the_input() {
    let server = Harness::start().await;
    for (method, path) in [
        (Method::POST, "/mappings"),
        (Method::POST, "/scopes"),
        (Method::PUT, "/mappings/%zz/pc"),
        (Method::PUT, "/scopes/%FF"),
    ] {
        let request = server.management_request(method, path, "nobody").body("{");
        assert_eq!(Answer::of(request).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn probes_need_no_token() {
    let server = Harness::start().await;
    for path in ["/health", "/livez", "/readyz"] {
        let answer = Answer::of(server.http.get(format!("{}{path}", server.management))).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    }
}

#[tokio::test]
async fn the_management_api_tells_the_version_and_the_exchange_api_does_not() {
    let server = Harness::start().await;
    let url = format!("{}/api/v1/mappings", server.management);
    let refused = Answer::of(server.http.get(url)).await;
    assert_eq!(refused.header("server"), Some(concat!("jwtlet-server/", env!("CARGO_PKG_VERSION"))));
    for path in ["/livez", "/.well-known/jwks.json", "/nothing"] {
        assert_eq!(server.get(path).await.header("server"), None, "{path}");
    }
}
