//! Servers that are not the jwtlet of this build: older, newer, lying, or something else.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::world::World;

/// A server with fixed answers. It stops when dropped.
pub(crate) struct StandIn {
    url: String,
    task: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    /// Answers these paths with 200 and this JSON, and all others with 404.
    pub(crate) async fn start(answers: &[(&str, &str)]) -> Self {
        let head = "content-type: application/json\r\ndate: Tue, 24 Nov 2026 00:00:00 GMT\r\n";
        let answer =
            |body: &str| format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n{body}", body.len());
        let answers = answers.iter().map(|(path, body)| ((*path).to_owned(), answer(body))).collect();
        Self::raw(answers, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await
    }

    /// Answers these paths, and all others, with these texts.
    pub(crate) async fn raw(answers: Vec<(String, String)>, otherwise: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new((answers, otherwise.to_owned()));
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&answers)));
            }
        });
        Self { url, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(mut connection: TcpStream, answers: Arc<(Vec<(String, String)>, String)>) {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !request.contains("\r\n\r\n") {
        match connection.read(&mut buffer).await {
            Ok(length @ 1..) => request += &String::from_utf8_lossy(&buffer[..length]),
            _ => return,
        }
    }
    let path = request.split([' ', '?']).nth(1).unwrap();
    let answer = answers.0.iter().find(|(known, _)| known == path).map_or(&answers.1, |(_, answer)| answer);
    // The client may have seen enough.
    let _ = connection.write_all(answer.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).await;
}

impl World {
    /// The body of a GET of the management API by the administrator.
    pub(crate) async fn manage(&self, path: &str) -> String {
        self.body(&self.management, path).await
    }

    /// The body of a GET of the exchange API.
    pub(crate) async fn published(&self, path: &str) -> String {
        self.body(&self.exchange, path).await
    }

    async fn body(&self, base: &str, path: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let request = http.get(format!("{base}{path}"));
        request.bearer_auth(self.operator("admin").mint()).send().await.unwrap().text().await.unwrap()
    }
}

/// One of an earlier version, which knows no path.
pub(crate) async fn older_server() -> StandIn {
    let named =
        format!("{NOT_FOUND}server: jwtlet-server/0.0.9\r\ncontent-length: {}\r\n\r\n{DETAIL}", DETAIL.len());
    StandIn::raw(vec![], &named).await
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\n";
const DETAIL: &str = r#"{"detail":"there is nothing at this path"}"#;

#[tokio::test]
async fn an_older_server_is_recognised_with_its_version() {
    let world = World::start().await;
    let server = older_server().await;
    let ran = world.jwtlet(&["lint"]).env("JWTLET_SERVER", server.url()).run().await;
    let shown = ran.to_string().replace(server.url(), "[server]");
    insta::assert_snapshot!(shown, @"
    exit 14
    error: the server at [server] (0.0.9) does not know /api/v1/lint
    help: update the server to 0.1.0 or newer, or use the command of its version
    ");
}

#[tokio::test]
async fn an_older_server_that_does_not_tell_its_version_is_recognised_by_its_challenge() {
    let world = World::start().await;
    let challenge =
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"jwtlet\"\r\ncontent-length: 0\r\n\r\n";
    let server = StandIn::raw(
        vec![("/api/v1/mappings".into(), challenge.into())],
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let ran = world.jwtlet(&["explain", "a", "b"]).env("JWTLET_SERVER", server.url()).run().await;
    ran.assert_fails(
        14,
        &format!("the server at {} (of an unknown version) does not know /api/v1/explain", server.url()),
    );
}

/// One that does not know `owner`, with this header.
async fn ownerless_server(header: &str) -> StandIn {
    let answer = |problem: Value| {
        let (body, status) = (problem.to_string(), "400 Bad Request");
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n{header}content-length: {length}\r\n\r\n{body}"
        )
    };
    let message = "unknown field `owner`, expected one of `scope`, `claims`";
    let document = json!({"kind": "scopeMapping", "index": 0});
    let errors = json!([{"document": document, "field": "", "message": message}]);
    let answers = vec![
        ("/api/v1/scopes".to_owned(), answer(json!({"detail": message}))),
        (
            "/api/v1/policy/apply".to_owned(),
            answer(json!({"detail": "documents are wrong", "errors": errors})),
        ),
    ];
    StandIn::raw(answers, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await
}

#[tokio::test]
async fn an_older_server_that_does_not_know_a_member_is_to_be_updated() {
    let world = World::start().await;
    let document = "kind: ScopeMapping\nscope: read\nclaims: {}\nowner: a\n";
    let older = "help: the server is older than this command, 0.1.0, or does not tell its version: update it";
    for (header, create, apply) in [
        ("server: jwtlet-server/0.0.9\r\n", older, older),
        ("", older, older),
        ("server: jwtlet-server/0.1.0\r\n", "help: leave the member out", "help: mend the lines"),
        ("server: jwtlet-server/0.10.0\r\n", "help: leave the member out", "help: mend the lines"),
    ] {
        let server = ownerless_server(header).await;
        for (arguments, help) in [
            (&["scope", "create", "read", "--claims", "{}", "--owner", "a"][..], create),
            (&["policy", "apply", "-f", "-"], apply),
        ] {
            let run = world.jwtlet(arguments).env("JWTLET_SERVER", server.url()).input(document);
            let ran = run.run().await;
            assert_eq!(ran.status, 52, "{ran}");
            assert!(ran.err.lines().any(|line| line.starts_with(help)), "{header}: {ran}");
        }
    }
}

#[tokio::test]
async fn what_is_not_jwtlet_is_recognised() {
    let world = World::start().await;
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    for (answer, status, error) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            13,
            "[url] does not answer as the management API of jwtlet does (status 404)",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
            13,
            "[url] does not answer as the management API of jwtlet does (status 302)",
        ),
        (
            page,
            16,
            "the answer of [url]/api/v1/mappings?limit=500 cannot be understood: the answer is not the expected JSON",
        ),
        ("hello\r\n\r\n", 11, "the management API at [url] cannot be reached"),
    ] {
        let server = StandIn::raw(vec![], answer).await;
        let ran = world.jwtlet(&["mapping", "list"]).env("JWTLET_SERVER", server.url()).run().await;
        ran.assert_fails(status, &error.replace("[url]", server.url()));
    }
    let server = StandIn::raw(vec![], page).await;
    let ran = world.exchange(&["acme"]).env("JWTLET_EXCHANGE_SERVER", server.url()).run().await;
    assert_eq!(ran.status, 16, "{ran}");
}

#[tokio::test]
async fn what_a_newer_server_adds_to_records_is_shown_and_kept() {
    let world = World::start().await;
    let record = |context: &str, region: Value| {
        json!({
            "clientIdentifier": "c", "participantContext": context, "scopes": ["read"], "audiences": [],
            "region": region, "links": {"team": "a", "tier": "gold"}, "version": 1,
        })
    };
    let list = json!([record("acme", json!("ops")), record("globex", Value::Null)]).to_string();
    let server = StandIn::start(&[("/api/v1/mappings", &list)]).await;
    let ran = world.jwtlet(&["mapping", "list"]).env("JWTLET_SERVER", server.url()).run().await;
    insta::assert_snapshot!(ran, @"
    exit 0
    CLIENT  CONTEXT  SCOPES  LINKS             REGION  VERSION
    c       acme     read    team=a tier=gold  ops     1
    c       globex   read    team=a tier=gold          1
    ");
    let ran = world.jwtlet(&["mapping", "list", "-o", "json"]).env("JWTLET_SERVER", server.url()).run().await;
    assert_eq!(ran.json()[0]["links"]["tier"], "gold");
}

#[tokio::test]
async fn texts_of_a_server_cannot_steer_the_terminal() {
    let world = World::start().await;
    let list = json!([{"scope": "a\u{1b}[2J", "claims": {"x": "\u{9b}"}, "\u{1b}": "x"}]).to_string();
    let server = StandIn::start(&[("/api/v1/scopes", &list)]).await;
    let ran = world.jwtlet(&["scope", "list"]).env("JWTLET_SERVER", server.url()).run().await;
    assert!(ran.out.contains("a\\u{1b}[2J"), "{ran}");
    assert!(!ran.out.contains(['\u{1b}', '\u{9b}']), "{ran:?}", ran = ran.out);
}

#[tokio::test]
async fn an_address_may_have_a_path() {
    let world = World::start().await;
    let server = StandIn::start(&[("/behind/ingress/api/v1/scopes", "[]")]).await;
    let address = format!("{}/behind/ingress/", server.url());
    let ran = world.jwtlet(&["scope", "list", "-o", "json", "--server", &address]).run().await;
    assert_eq!(ran.json(), json!([]));
}
