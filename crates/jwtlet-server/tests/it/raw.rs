//! Requests that no HTTP library sends: bodies without a length or without an end, and what is not HTTP.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::Harness;

const HEAD: &str = "POST /token HTTP/1.1\r\nhost: jwtlet\r\nconnection: close\r\n\
                    content-type: application/x-www-form-urlencoded\r\n";

/// Sends these bytes and nothing more; the status line and what the server says besides.
async fn send(server: &Harness, request: &str) -> String {
    let mut stream = TcpStream::connect(server.exchange.trim_start_matches("http://")).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_too() {
    let server = Harness::with_acme().await;
    let body = format!("x={}", "x".repeat(64 * 1024));
    let answer =
        send(&server, &format!("{HEAD}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len()))
            .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""error":"invalid_request""#), "{answer}");
    server.exchange_works().await;
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_not_taken_for_a_request() {
    let server = Harness::with_acme().await;
    let answer = send(&server, &format!("{HEAD}content-length: 100\r\n\r\ngrant_type=")).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.exchange_works().await;
}

#[tokio::test]
async fn what_is_not_http_harms_nobody() {
    let server = Harness::with_acme().await;
    for request in [
        "\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        "GET /token SMTP/9\r\n\r\n",
        "POST /token HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        "POST /token HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        &format!("GET /{} HTTP/1.1\r\nhost: jwtlet\r\n\r\n", "x".repeat(100_000)),
        &format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)),
    ] {
        let answer = send(&server, request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{request:.40}: {answer}");
    }
    server.exchange_works().await;
}

#[tokio::test]
async fn headers_that_are_not_text_are_refused_or_replaced() {
    let server = Harness::with_acme().await;
    let answer =
        send(&server, "POST /token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: \u{e4}\r\n\r\n")
            .await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    let answer = send(
        &server,
        "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: \u{e4} b\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.is_ascii(), "{answer}");
    server.exchange_works().await;
}
