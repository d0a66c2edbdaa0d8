//! The descriptions of both APIs, and the page that shows them.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Harness};

const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];

async fn ask(server: &Harness, method: Method, url: &str) -> Answer {
    Answer::of(server.http.request(method, url)).await
}

/// The document that a port serves without a token.
async fn document(server: &Harness, port: &str) -> Value {
    let answer = ask(server, Method::GET, &format!("{port}/openapi.json")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer}");
    answer.json()
}

/// The paths of a document, with something in the place of each parameter, and their methods.
fn paths(document: &Value) -> Vec<(String, BTreeSet<Method>)> {
    let fill = |path: &str| {
        let segment = |segment: &'static str| if segment.starts_with('{') { "a" } else { segment };
        let path: &'static str = Box::leak(path.to_owned().into_boxed_str());
        path.split('/').map(segment).collect::<Vec<_>>().join("/")
    };
    let methods = |item: &Value| -> BTreeSet<Method> {
        item.as_object().unwrap().keys().map(|method| method.to_uppercase().parse().unwrap()).collect()
    };
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, item)| (fill(path), methods(item))).collect()
}

#[tokio::test]
async fn the_documents_are_those_that_are_checked_in() {
    let server = Harness::start().await;
    for (name, port) in [("exchange", &server.exchange), ("management", &server.management)] {
        let now = format!("{:#}\n", document(&server, port).await);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/openapi/{name}.json"));
        if std::env::var_os("JWTLET_UPDATE_DOCS").is_some() {
            fs::write(&file, &now).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert!(now == expected, "{name}.json is out of date: run this test with JWTLET_UPDATE_DOCS=1");
    }
}

/// Routes are added together with their descriptions. That leaves what is answered before the router, and methods.
#[tokio::test]
async fn a_path_has_the_methods_that_are_described() {
    let server = Harness::start().await;
    for port in [&server.exchange, &server.management] {
        for (path, mut described) in paths(&document(&server, port).await) {
            for method in METHODS {
                let answer = ask(&server, method.clone(), &format!("{port}{path}")).await;
                let is_served = !matches!(answer.status, 404 | 405);
                assert_eq!(is_served, described.contains(&method), "{method} {path}: {answer}");
            }
            if described.contains(&Method::GET) {
                described.insert(Method::HEAD);
            }
            let refused = ask(&server, Method::PATCH, &format!("{port}{path}")).await;
            let allowed = refused.header("allow").unwrap().split(',').map(|method| method.parse().unwrap());
            assert_eq!(allowed.collect::<BTreeSet<Method>>(), described, "{path}");
        }
    }
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn a_document_has_what_it_refers_to_and_nothing_else_in_its_components() {
    let server = Harness::start().await;
    for port in [&server.exchange, &server.management] {
        let document = document(&server, port).await;
        assert_eq!(document["openapi"], "3.1.0");
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        for (kind, parts) in document["components"].as_object().unwrap() {
            let is_used =
                |name: &String| found.iter().any(|found| *found == format!("#/components/{kind}/{name}"));
            let unused = parts.as_object().unwrap().keys().find(|name| !is_used(name));
            assert!(kind == "securitySchemes" || unused.is_none(), "{unused:?}");
        }
    }
}

#[tokio::test]
async fn a_path_of_the_issuer_is_described_where_it_is_served() {
    let server = Harness::start_with(&[("JWTLET__ISSUER", "https://jwtlet.example.com/tenants")]).await;
    let document = document(&server, &server.exchange).await;
    let path = "/.well-known/oauth-authorization-server/tenants";
    assert!(document["paths"][path]["get"].is_object(), "{document}");
    assert_eq!(server.get(path).await.status, 200);
}

#[tokio::test]
async fn the_page_takes_nothing_from_outside() {
    let server = Harness::start().await;
    let page = ask(&server, Method::GET, &format!("{}/docs", server.management)).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{page}");
    assert_eq!(
        page.header("content-security-policy"),
        Some(
            "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
             img-src data:; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        )
    );
    assert!(!page.body.contains("//") && !page.body.contains("<style") && !page.body.contains("style="));
    let links =
        page.body.split("src=\"").chain(page.body.split("href=\"")).filter(|part| part.starts_with("docs/"));
    let mut files: Vec<_> = links.filter_map(|part| part.split('"').next()).collect();
    files.push("docs/exchange.json");
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let answer = ask(&server, Method::GET, &format!("{}/{file}", server.management)).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.headers["content-security-policy"], page.headers["content-security-policy"]);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let start = ask(&server, Method::GET, &format!("{}/docs/start.js", server.management)).await;
    assert!(!start.body.contains("://") && start.body.contains("validatorUrl: null"), "{start}");
    assert_eq!(server.get("/docs").await.status, 404, "the exchange port has no page");
}

#[tokio::test]
async fn the_style_sheet_has_its_pictures_in_itself() {
    let server = Harness::start().await;
    let style = server.http.get(format!("{}/docs/swagger-ui.css", server.management)).send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css");
    assert_eq!(style.headers()["content-encoding"], "gzip");
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&*style.bytes().await.unwrap()),
        &mut text,
    )
    .unwrap();
    assert!(text.contains(".swagger-ui") && !text.contains("@import"));
    let outside = text
        .split("url(")
        .skip(1)
        .find(|target| !target.trim_start_matches(['"', '\'']).starts_with("data:"));
    assert_eq!(outside, None);
}

#[tokio::test]
async fn the_page_shows_the_document_of_the_other_port() {
    let server = Harness::start().await;
    let shown = ask(&server, Method::GET, &format!("{}/docs/exchange.json", server.management)).await;
    assert_eq!(shown.json(), document(&server, &server.exchange).await);
}

#[tokio::test]
async fn whoever_has_a_document_is_not_sent_it_again() {
    let server = Harness::start().await;
    for path in ["/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"] {
        let url = format!("{}{path}", server.management);
        let first = server.http.get(&url).send().await.unwrap();
        let tag = first.headers()["etag"].to_str().unwrap();
        let second = Answer::of(server.http.get(&url).header("if-none-match", tag)).await;
        assert_eq!((second.status, second.body.as_str(), second.header("etag")), (304, "", Some(tag)));
    }
}
