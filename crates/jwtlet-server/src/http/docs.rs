//! The page that shows the descriptions of both APIs.
//!
//! It is for reading: it takes no token, and it asks for nothing but its own files and the two documents. All of it comes
//! from this server, and the content security policy keeps it so.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    RefOr,
    schema::{ObjectBuilder, Schema, Type},
};
use utoipa_swagger_ui::{Config, serve};

use super::{
    openapi::{Answer, Header, MakeSchema, Routes, Schemas, get, text_header},
    static_content::StaticContent,
};

const PAGE_PATH: &str = "/docs";
/// The management port has the page, and so it has the document of the other port too.
const EXCHANGE_DOCUMENT_PATH: &str = "/docs/exchange.json";

/// Its links are relative, so that it works below any prefix that a proxy takes away.
const PAGE: &str = include_str!("docs/page.html");
const START: &str = include_str!("docs/start.js");

/// What is used of Swagger UI: path, name there, media type, and what it is called in generated clients.
const FILES: [(&str, &str, &str, &str); 3] = [
    ("/docs/swagger-ui.css", "swagger-ui.css", "text/css", "getDocsStyle"),
    ("/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js", JAVASCRIPT, "getDocsScript"),
    ("/docs/swagger-ui-standalone-preset.js", "swagger-ui-standalone-preset.js", JAVASCRIPT, "getDocsPreset"),
];
const JAVASCRIPT: &str = "text/javascript";

/// Scripts, styles and documents of this origin. Swagger UI has its pictures within its style sheet, and one style, named by
/// its hash, within its logo; `scripts/check-descriptions` looks whether a browser finds others.
const POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PROTECTION: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

const DESCRIBED_POLICY: Header =
    text_header("Content-Security-Policy", "Nothing from outside.").like("^default-src 'none';");

/// The page and its files, with this document of the exchange API.
pub(super) fn routes(exchange: StaticContent) -> Routes {
    let page = StaticContent::new("text/html; charset=utf-8", PAGE.into());
    let start = StaticContent::new(JAVASCRIPT, START.into());
    let routes = Routes::new();
    let routes = add(routes, PAGE_PATH, "text/html", "getDocs", page);
    let routes = add(routes, "/docs/start.js", JAVASCRIPT, "getDocsStart", start);
    let routes = add(routes, EXCHANGE_DOCUMENT_PATH, "application/json", "getExchangeDescription", exchange);
    FILES.into_iter().fold(routes, |routes, (path, name, media_type, id)| {
        add(routes, path, media_type, id, swagger_ui(name, media_type))
    })
}

fn add(routes: Routes, path: &str, media_type: &'static str, id: &str, content: StaticContent) -> Routes {
    let schema: MakeSchema = if media_type == "application/json" { object } else { text };
    let answer = Answer::of("It.", media_type, schema).header(DESCRIBED_POLICY);
    let operation = StaticContent::describe(
        id,
        "The page that shows the descriptions of both APIs, and its files",
        answer,
    );
    let content = Arc::new(content);
    routes.add(path, [get(async move |headers: HeaderMap| protect(content.answer(&headers)), operation)])
}

fn protect(content: Response) -> Response {
    (PROTECTION, content).into_response()
}

fn text(_: &mut Schemas) -> RefOr<Schema> {
    Schema::from(ObjectBuilder::new().schema_type(Type::String).build()).into()
}

fn object(_: &mut Schemas) -> RefOr<Schema> {
    Schema::from(ObjectBuilder::new().schema_type(Type::Object).build()).into()
}

/// A file of Swagger UI, which is part of the binary. A test asks for each.
fn swagger_ui(name: &str, media_type: &'static str) -> StaticContent {
    let file = serve(name, Arc::new(Config::default())).ok().flatten();
    let is_compressed = file.as_ref().is_some_and(|file| file.gzpipped);
    let bytes = file.map(|file| Bytes::from(file.bytes.into_owned())).unwrap_or_default();
    StaticContent::new(media_type, bytes).compressed(is_compressed)
}
