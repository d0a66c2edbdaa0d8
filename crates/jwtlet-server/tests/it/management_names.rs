//! Names in paths, and what every answer of the management API has in common.

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Answer, CONNECTOR, Harness};

impl Harness {
    /// The status of a `GET` as the administrator, with the path sent byte for byte: HTTP clients resolve `..`.
    async fn raw_status(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.management.trim_start_matches("http://")).await.unwrap();
        let token = self.operator_token("admin");
        let head = format!("GET /api/v1{path} HTTP/1.1\r\nhost: jwtlet\r\nconnection: close\r\n");
        stream.write_all(format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn get_status(&self, path: &str) -> u16 {
        self.manage(Method::GET, path, "admin", None).await.status
    }
}

#[tokio::test]
async fn plain_and_encoded_colons_name_one_mapping() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    for client in [CONNECTOR, &CONNECTOR.replace(':', "%3A"), &CONNECTOR.replace(':', "%3a")] {
        assert_eq!(server.get_status(&format!("/mappings/{client}/acme")).await, 200, "{client}");
    }
    let body = json!({"clientIdentifier": CONNECTOR, "participantContext": "acme", "scopes": []});
    let encoded = format!("/mappings/{}/%61cme", CONNECTOR.replace(':', "%3A"));
    assert_eq!(server.manage(Method::PUT, &encoded, "admin", Some(&body)).await.status, 204);
    assert_eq!(server.manage(Method::DELETE, &encoded, "admin", None).await.status, 204);
    assert_eq!(server.get_status(&format!("/mappings/{CONNECTOR}/acme")).await, 404);
}

#[tokio::test]
async fn an_encoded_slash_is_part_of_a_name() {
    let server = Harness::start().await;
    server.map("a", "b/c", &[], &[]).await;
    server.map("a/b", "c", &[], &[]).await;
    server.map_scope("x/y", json!({})).await;
    let context = server.manage(Method::GET, "/mappings/a/b%2Fc", "admin", None).await.json();
    assert_eq!(context["participantContext"], "b/c");
    let client = server.manage(Method::GET, "/mappings/a%2fb/c", "admin", None).await.json();
    assert_eq!(client["clientIdentifier"], "a/b");
    assert_eq!(server.get_status("/mappings/a/b/c").await, 404);
    assert_eq!(
        (server.get_status("/scopes/x%2Fy").await, server.get_status("/scopes/x/y").await),
        (200, 404)
    );
    server.manage(Method::DELETE, "/mappings/a%2Fb", "admin", None).await;
    assert_eq!(server.get_status("/mappings/a/b%2Fc").await, 200);
}

#[tokio::test]
async fn a_segment_is_decoded_once() {
    let server = Harness::start().await;
    server.map("a%2Fb", "%41", &[], &[]).await;
    assert_eq!(server.get_status("/mappings/a%252Fb/%2541").await, 200);
    for path in ["/mappings/a%2Fb/%2541", "/mappings/a%252Fb/A", "/mappings/a%25252Fb/%2541"] {
        assert_eq!(server.get_status(path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn a_plus_sign_in_a_path_is_a_plus_sign() {
    let server = Harness::start().await;
    server.map("a+b", "c", &[], &[]).await;
    assert_eq!(
        (server.get_status("/mappings/a+b/c").await, server.get_status("/mappings/a%20b/c").await),
        (200, 404)
    );
}

#[tokio::test]
async fn segments_that_are_no_name_are_refused() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.manage(Method::GET, "/mappings/%zz/b", "admin", None).await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"the path: a % must be followed by two hexadecimal digits"}
    "#);
    insta::assert_snapshot!(server.manage(Method::GET, "/scopes/a%00", "admin", None).await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"scope in the path must be printable ASCII without space, double quote and backslash"}
    "#);
    assert_eq!(server.raw_status("/mappings//b").await, 404);
    let long = "x".repeat(513);
    for segment in [
        "%zz",
        "%",
        "%4",
        "%FF",
        "%C0%AF",
        "a%00b",
        "%0A",
        "%09",
        "%E2%80%8B",
        "%E2%80%AE",
        "%EF%BB%BF",
        &long,
    ] {
        for path in
            [format!("/mappings/{segment}/b"), format!("/mappings/a/{segment}"), format!("/scopes/{segment}")]
        {
            assert_eq!(server.raw_status(&path).await, 400, "{path}");
        }
        for method in [Method::PUT, Method::DELETE] {
            let body = json!({"scope": "a", "claims": {}});
            let answer = server.manage(method, &format!("/scopes/{segment}"), "admin", Some(&body)).await;
            assert_eq!(answer.status, 400, "{segment}: {answer}");
        }
        let answer = server.manage(Method::DELETE, &format!("/mappings/{segment}"), "admin", None).await;
        assert_eq!(answer.status, 400, "{segment}: {answer}");
    }
    assert_eq!(server.get_status("/mappings").await, 200);
}

#[tokio::test]
async fn dot_segments_lead_nowhere() {
    let server = Harness::start().await;
    for segment in ["..", ".", "%2e%2e", "%2E%2E", "%2e", ".%2e"] {
        for path in
            [format!("/mappings/{segment}/b"), format!("/mappings/a/{segment}"), format!("/scopes/{segment}")]
        {
            assert_eq!(server.raw_status(&path).await, 400, "{path}");
        }
    }
    assert_eq!(server.raw_status("/../v1/mappings").await, 404);
    assert_eq!(server.raw_status("/scopes/../mappings").await, 404);
}

#[tokio::test]
async fn names_that_look_alike_are_different_names() {
    let server = Harness::start().await;
    server.map("ns-a:b", "caf\u{e9}", &[], &[]).await;
    assert_eq!(server.get_status("/mappings/ns-a:b/caf%C3%A9").await, 200);
    for path in ["/mappings/ns:a-b/caf%C3%A9", "/mappings/ns-a:b/cafe%CC%81", "/mappings/NS-A:B/caf%C3%A9"] {
        assert_eq!(server.get_status(path).await, 404, "{path}");
    }
}

#[tokio::test]
async fn a_wildcard_is_a_name_like_any_other() {
    let server = Harness::start().await;
    server.map("system:serviceaccount:demo:*", "acme", &[], &[]).await;
    server.exchange(&[("resource", "acme")]).await.assert_refused(403, "unauthorized_client");
}

#[tokio::test]
async fn there_is_nothing_at_other_paths() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.manage(Method::GET, "/mappings/", "admin", None).await, @r#"
    404
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Not Found","status":404,"detail":"there is nothing at this path"}
    "#);
    for path in ["", "/", "/scopes/", "/mappings//", "/mappings/a/", "/mappings/a/b/", "/mappings/a/b/c"] {
        assert_eq!(server.raw_status(path).await, 404, "{path}");
    }
    for path in ["/token", "/.well-known/jwks.json", "/api/v2/mappings", "/"] {
        let url = format!("{}{path}", server.management);
        assert_eq!(Answer::of(server.http.get(url)).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/api/v1/mappings").await.status, 404);
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_refused_with_those_it_has() {
    let server = Harness::start().await;
    insta::assert_snapshot!(server.manage(Method::PATCH, "/mappings/a/b", "admin", None).await, @r#"
    405
    content-type: application/problem+json
    cache-control: no-store
    allow: GET,HEAD,PUT,DELETE
    {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"the Allow header names the methods of this path"}
    "#);
    for (method, path, allowed) in [
        (Method::DELETE, "/mappings", "GET,HEAD,POST"),
        (Method::GET, "/mappings/a", "DELETE"),
        (Method::PUT, "/scopes", "GET,HEAD,POST"),
        (Method::POST, "/scopes/a", "GET,HEAD,PUT,DELETE"),
    ] {
        let answer = server.manage(method, path, "admin", None).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{path}");
    }
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made() {
    let server = Harness::start().await;
    let id_of = async |given: Option<&str>| {
        let request = server.management_request(Method::GET, "/scopes/none", "admin");
        let answer = Answer::of(match given {
            Some(id) => request.header("x-request-id", id),
            None => request,
        });
        answer.await.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id_of(Some("req-1/~")).await, "req-1/~");
    assert_eq!(id_of(Some(&"x".repeat(128))).await, "x".repeat(128));
    let made = id_of(None).await;
    assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
    assert_ne!(id_of(None).await, made);
    for bad in ["", "two words", "tab\there", "ä", &"x".repeat(129)] {
        let id = id_of(Some(bad)).await;
        assert!(id.len() == 32 && id != bad, "{bad}: {id}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let server = Harness::start().await;
    for url in [
        format!("{}/api/v1/mappings", server.management),
        format!("{}/nothing", server.management),
        format!("{}/livez", server.management),
        format!("{}/token", server.exchange),
        format!("{}/.well-known/jwks.json", server.exchange),
    ] {
        let answer = Answer::of(server.http.get(&url).header("x-request-id", "mine")).await;
        assert_eq!(answer.header("x-request-id"), Some("mine"), "{url}");
    }
}
