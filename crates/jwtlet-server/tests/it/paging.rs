//! Lists page by page, and long lists at once.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Harness},
    management::{mapping, scope},
    storage::{by_hand, start_on},
};

impl Harness {
    /// Creates so many mappings `client-i`/`context-j`, sorted as they are numbered.
    pub(crate) async fn create_many(&self, count: usize) {
        let all: Vec<Value> = (0..count)
            .map(|i| mapping(&format!("client-{:02}", i % 50), &format!("context-{i:05}")))
            .collect();
        for some in all.chunks(5_000) {
            let answer = self.call(Method::POST, "/mappings", Some(&json!(some))).await;
            assert_eq!(answer.status, 201, "{answer}");
        }
    }

    /// Follows the links from a list to its end. Gives the pages.
    pub(crate) async fn pages(&self, path: &str) -> Vec<Vec<Value>> {
        let mut pages = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.call(Method::GET, &path, None).await;
            assert_eq!(answer.status, 200, "{path}: {answer}");
            pages.push(serde_json::from_str(&answer.body).unwrap());
            next = link(&answer);
        }
        pages
    }
}

/// The path below `/api/v1` that the `Link` header names.
pub(crate) fn link(answer: &Answer) -> Option<String> {
    let target = answer.header("link")?.strip_prefix('<')?.strip_suffix(">; rel=\"next\"").unwrap();
    Some(target.strip_prefix("/api/v1").unwrap().to_owned())
}

fn sizes(pages: &[Vec<Value>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let server = Harness::start().await;
    server.create_many(10).await;
    let scopes = json!((0..7).map(|i| scope(&format!("s/{i}"))).collect::<Vec<_>>());
    server.call(Method::POST, "/scopes", Some(&scopes)).await;
    for (path, limit, expected) in [
        ("/mappings", 3, vec![3, 3, 3, 1]),
        ("/mappings", 5, vec![5, 5]),
        ("/mappings", 10, vec![10]),
        ("/mappings", 1000, vec![10]),
        ("/scopes", 3, vec![3, 3, 1]),
        ("/scopes", 7, vec![7]),
    ] {
        let pages = server.pages(&format!("{path}?limit={limit}")).await;
        assert_eq!(sizes(&pages), expected, "{path} {limit}");
        assert_eq!(pages.concat(), server.records(path).await);
    }
    assert_eq!(sizes(&server.pages("/mappings?limit=5&scope=none").await), [0]);
}

#[tokio::test]
async fn a_link_keeps_the_filters() {
    let server = Harness::start().await;
    let client = "a&b=c ä";
    for context in ["1", "2", "3"] {
        server.call(Method::POST, "/mappings", Some(&mapping(client, context))).await;
        server.call(Method::POST, "/mappings", Some(&mapping("other", context))).await;
    }
    let query = "clientIdentifier=a%26b%3Dc+%C3%A4&limit=2&scope=read";
    let answer = server.call(Method::GET, &format!("/mappings?{query}"), None).await;
    assert_eq!(
        answer.header("link"),
        Some(
            "</api/v1/mappings?clientIdentifier=a%26b%3Dc%20%C3%A4&limit=2&scope=read&cursor=YSZiPWMgw6QKMg>; rel=\"next\""
        )
    );
    let pages = server.pages(&format!("/mappings?{query}")).await;
    assert_eq!(sizes(&pages), [2, 1]);
    assert!(pages.concat().iter().all(|record| record["clientIdentifier"] == client));
    assert_eq!(sizes(&server.pages("/scopes?scope=read&limit=1").await), [0]);
}

#[tokio::test]
async fn records_that_come_and_go_between_two_pages_disturb_no_other() {
    let server = Harness::start().await;
    for context in ["b", "d", "f"] {
        server.call(Method::POST, "/mappings", Some(&mapping("x", context))).await;
    }
    let first = server.call(Method::GET, "/mappings?limit=2", None).await;
    server.call(Method::DELETE, "/mappings/x/d", None).await;
    for context in ["a", "e"] {
        server.call(Method::POST, "/mappings", Some(&mapping("x", context))).await;
    }
    assert_eq!(server.contexts(&link(&first).unwrap()).await, ["x/e", "x/f"]);
}

#[tokio::test]
async fn without_a_limit_a_list_of_any_length_comes_at_once() {
    let server = Harness::start().await;
    for (count, total) in [(1_000, 1_000), (4_500, 4_500)] {
        server.create_many(count).await;
        let answer = server.call(Method::GET, "/mappings", None).await;
        assert_eq!(
            (answer.status, answer.header("link"), answer.header("content-type")),
            (200, None, Some("application/json"))
        );
        let keys: Vec<(String, String)> = serde_json::from_str::<Vec<Value>>(&answer.body)
            .unwrap()
            .iter()
            .map(|record| {
                ["clientIdentifier", "participantContext"].map(|key| record[key].as_str().unwrap().to_owned())
            })
            .map(|[client, context]| (client, context))
            .collect();
        assert_eq!(keys.len(), total);
        assert!(keys.is_sorted() && keys.iter().collect::<BTreeSet<_>>().len() == total);
        for client in 0..50 {
            server.call(Method::DELETE, &format!("/mappings/client-{client:02}"), None).await;
        }
    }
    assert_eq!(server.call(Method::GET, "/mappings", None).await.body, "[]");
}

#[tokio::test]
async fn a_cursor_alone_lists_all_that_follows() {
    let server = Harness::start().await;
    server.create_many(5).await;
    let first = server.call(Method::GET, "/mappings?limit=2", None).await;
    let rest = link(&first).unwrap().replace("limit=2&", "");
    assert_eq!(server.records(&rest).await, server.records("/mappings").await[2..]);
}

#[tokio::test]
async fn a_list_that_fails_on_its_way_breaks_off_and_never_looks_whole() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("policy.db");
    let server = start_on(&path).await;
    // More than the buffers between the two ends take.
    for client in ["a", "b"] {
        let long = |i: usize| {
            let mut mapping = mapping(client, &format!("{i:05}"));
            mapping["description"] = "x".repeat(1_000).into();
            mapping
        };
        let all: Vec<Value> = (0..10_000).map(long).collect();
        assert_eq!(server.call(Method::POST, "/mappings", Some(&json!(all))).await.status, 201);
    }
    let request = server.management_request(Method::GET, "/mappings", "admin");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut received = response.chunk().await.unwrap().unwrap().len();
    by_hand(&path, "ALTER TABLE resource_mappings RENAME TO elsewhere").await;
    let failure = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => panic!("a whole answer of {received} bytes"),
            Err(failure) => break failure,
        }
    };
    assert!(failure.is_body() || failure.is_decode(), "{failure:?}");
    let before_the_first_byte = server.call(Method::GET, "/mappings", None).await;
    assert_eq!(before_the_first_byte.status, 503, "{before_the_first_byte}");
    by_hand(&path, "ALTER TABLE elsewhere RENAME TO resource_mappings").await;
    assert_eq!(server.records("/mappings").await.len(), 20_000);
}
