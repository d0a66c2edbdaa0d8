//! Entity tags of records, and what callers make depend on them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Harness},
    management::{mapping, scope},
};

impl Harness {
    /// The entity tag of a record that exists.
    async fn tag(&self, path: &str) -> String {
        let answer = self.call(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.header("etag").unwrap().to_owned()
    }

    async fn under(
        &self,
        header: &str,
        value: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let request = self.management_request(method, path, "admin").header(header, value);
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn put_if(&self, tags: &str) -> u16 {
        self.under("if-match", tags, Method::PUT, "/mappings/a/b", Some(&mapping("a", "b"))).await.status
    }

    async fn delete_if(&self, tags: &str, path: &str) -> u16 {
        self.under("if-match", tags, Method::DELETE, path, None).await.status
    }
}

#[tokio::test]
async fn a_single_record_is_created_with_its_place_and_its_tag() {
    let server = Harness::start().await;
    for (list, record, place) in [
        ("/mappings", mapping("a b/c", "ä"), "/api/v1/mappings/a%20b%2Fc/%C3%A4"),
        (
            "/mappings",
            mapping("system:serviceaccount:x:y", "z"),
            "/api/v1/mappings/system:serviceaccount:x:y/z",
        ),
        ("/scopes", scope("read:all/x"), "/api/v1/scopes/read:all%2Fx"),
    ] {
        let created = server.call(Method::POST, list, Some(&record)).await;
        assert_eq!((created.status, &*created.body, created.header("location")), (201, "", Some(place)));
        let path = place.strip_prefix("/api/v1").unwrap();
        assert_eq!(created.header("etag"), Some(&*server.tag(path).await));
    }
    let array = server.call(Method::POST, "/mappings", Some(&json!([mapping("x", "y")]))).await;
    assert_eq!((array.status, array.header("location"), array.header("etag")), (201, None, None));
}

#[tokio::test]
async fn a_tag_is_that_of_one_state_of_one_record() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let first = server.tag("/mappings/a/b").await;
    assert!(first.starts_with("\"v1-") && first.ends_with('"'), "{first}");
    let replaced = server.call(Method::PUT, "/mappings/a/b", Some(&mapping("a", "b"))).await;
    let second = server.tag("/mappings/a/b").await;
    assert_eq!((replaced.status, replaced.header("etag")), (204, Some(&*second)));
    assert!(second.starts_with("\"v2-"), "{second}");
    server.call(Method::DELETE, "/mappings/a/b", None).await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let reborn = server.tag("/mappings/a/b").await;
    assert!(reborn.starts_with("\"v1-") && reborn != first, "{reborn}");
}

#[tokio::test]
async fn who_has_the_current_state_is_told_so() {
    let server = Harness::start().await;
    for (list, one, record) in
        [("/mappings", "/mappings/a/b", mapping("a", "b")), ("/scopes", "/scopes/read", scope("read"))]
    {
        server.call(Method::POST, list, Some(&record)).await;
        let tag = server.tag(one).await;
        for tags in [&tag, &format!("\"x\", W/{tag}"), "*"] {
            let answer = server.under("if-none-match", tags, Method::GET, one, None).await;
            assert_eq!((answer.status, &*answer.body, answer.header("etag")), (304, "", Some(&*tag)));
        }
        for tags in ["\"x\"", "x"] {
            assert_eq!(server.under("if-none-match", tags, Method::GET, one, None).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_write_happens_only_in_the_state_that_if_match_names() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    let first = server.tag("/mappings/a/b").await;
    assert_eq!(server.put_if(&first).await, 204);
    assert_eq!(server.put_if(&first).await, 412);
    let second = server.tag("/mappings/a/b").await;
    assert_eq!(server.put_if(&format!("W/{second}")).await, 412);
    assert_eq!(server.put_if("\"x\"").await, 412);
    assert_eq!(server.put_if(&format!("\"x\" , ,{second},")).await, 204);
    assert_eq!(server.put_if("*").await, 204);
    assert_eq!(server.delete_if(&second, "/mappings/a/b").await, 412);
    assert_eq!(server.records("/mappings").await[0]["version"], 4);
    let current = server.tag("/mappings/a/b").await;
    assert_eq!(server.delete_if(&current, "/mappings/a/b").await, 204);
    assert_eq!(server.records("/mappings").await.len(), 0);
}

#[tokio::test]
async fn nothing_is_in_no_state() {
    let server = Harness::start().await;
    assert_eq!(server.put_if("*").await, 404);
    assert_eq!(server.put_if("\"v1-1\"").await, 404);
    for path in ["/mappings/a/b", "/scopes/read"] {
        assert_eq!(server.delete_if("*", path).await, 412);
    }
    insta::assert_snapshot!(server.under("if-match", "\"v1-1\"", Method::DELETE, "/scopes/read", None).await, @r#"
    412
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Precondition Failed","status":412,"detail":"a scope mapping of read is not in the state that If-Match names"}
    "#);
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_refused() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    for tags in ["v1", "", "*, *", "\"a", "\"a\" \"b\"", "w/\"a\""] {
        assert_eq!(server.put_if(tags).await, 400, "{tags}");
        assert_eq!(server.delete_if(tags, "/mappings/a/b").await, 400, "{tags}");
    }
    insta::assert_snapshot!(server.under("if-match", "1", Method::DELETE, "/mappings/a/b", None).await, @r#"
    400
    content-type: application/problem+json
    cache-control: no-store
    {"type":"about:blank","title":"Bad Request","status":400,"detail":"If-Match must be * or entity tags in double quotes with commas between them"}
    "#);
    assert_eq!(server.records("/mappings").await[0]["version"], 1);
}

#[tokio::test]
async fn what_no_condition_can_hold_for_is_not_done() {
    let server = Harness::start().await;
    server.call(Method::POST, "/mappings", Some(&mapping("a", "b"))).await;
    for (header, method, path) in [
        ("if-match", Method::DELETE, "/mappings/a"),
        ("if-none-match", Method::DELETE, "/mappings/a"),
        ("if-none-match", Method::PUT, "/mappings/a/b"),
        ("if-none-match", Method::DELETE, "/mappings/a/b"),
    ] {
        let answer = server.under(header, "*", method, path, Some(&mapping("a", "b"))).await;
        assert_eq!(answer.status, 412, "{answer}");
        assert!(answer.body.contains("cannot hold here"), "{answer}");
    }
    assert_eq!(server.records("/mappings").await[0]["version"], 1);
}
