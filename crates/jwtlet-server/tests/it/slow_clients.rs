//! Clients that are slow, silent or many, and clients that speak HTTP/2.

use jwtlet_testkit::wait_for;
use reqwest::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};

use crate::{
    fleet::client,
    harness::{CONNECTOR, Harness, PATIENCE},
};

const SHORT: [(&str, &str); 2] =
    [("JWTLET__HTTP__HEADER_TIMEOUT", "1s"), ("JWTLET__HTTP__IDLE_TIMEOUT", "1s")];
const LONG_IDLE: [(&str, &str); 2] =
    [("JWTLET__HTTP__HEADER_TIMEOUT", "1s"), ("JWTLET__HTTP__IDLE_TIMEOUT", "10m")];

async fn connect(server: &Harness) -> TcpStream {
    TcpStream::connect(server.exchange.trim_start_matches("http://")).await.unwrap()
}

/// Waits for the server to close the connection; what it said before.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset is closed as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.unwrap();
    String::from_utf8(said).unwrap()
}

/// Sends a text again and again, a piece at a time, until the server closes the connection.
async fn drip(server: &Harness, start: &str, again: &str) {
    let mut stream = connect(server).await;
    stream.set_nodelay(true).unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let drops = async {
        let mut ticks = interval(std::time::Duration::from_millis(100));
        loop {
            ticks.tick().await;
            if writer.write_all(again.as_bytes()).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let closed = async {
        let mut said = Vec::new();
        let _ = reader.read_to_end(&mut said).await;
    };
    tokio::select! {
        () = drops => {}
        closed = timeout(PATIENCE, closed) => closed.unwrap(),
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = Harness::start_with(&SHORT).await;
    assert_eq!(rest(&mut connect(&server).await).await, "");
}

#[tokio::test]
async fn a_connection_that_is_idle_after_an_answer_is_closed() {
    let server = Harness::start_with(&SHORT).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: jwtlet\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_head_that_arrives_slowly_is_not_waited_for() {
    let server = Harness::start_with(&LONG_IDLE).await;
    drip(&server, "GET /livez HTTP/1.1\r\n", "a").await;
    drip(&server, "", "G").await;
    // The second request of a connection, too.
    drip(&server, "GET /livez HTTP/1.1\r\nhost: jwtlet\r\n\r\nGET /livez HTTP/1.1\r\n", "b").await;
}

#[tokio::test]
async fn a_head_of_http2_that_arrives_slowly_is_not_waited_for() {
    let server = Harness::start_with(&SHORT).await;
    drip(&server, "PRI * HTTP/2.0\r\n", "").await;
    let preface_and_settings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // The head of a HEADERS frame of 16 KiB, and its content bit by bit.
    drip(&server, &format!("{preface_and_settings}\0\x40\0\x01\x04\0\0\0\x01"), "a").await;
    // Nothing more at all.
    drip(&server, preface_and_settings, "").await;
}

#[tokio::test]
async fn a_connection_in_use_is_kept() {
    let server = Harness::start_with(&SHORT).await;
    let mut stream = connect(&server).await;
    let request = b"GET /livez HTTP/1.1\r\nhost: jwtlet\r\n\r\n";
    let mut ticks = interval(std::time::Duration::from_millis(300));
    for _ in 0..12 {
        ticks.tick().await;
        stream.write_all(request).await.unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(
            answer[..read].starts_with(b"HTTP/1.1 200 OK"),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
    }
}

#[tokio::test]
async fn past_the_cap_connections_are_closed_at_once_and_room_is_made_by_those_that_end() {
    let server = Harness::start_with(&[("JWTLET__HTTP__MAX_CONNECTIONS", "3")]).await;
    // The harness has one open already, or will have.
    let mut held = Vec::new();
    wait_for(
        async || {
            let mut stream = connect(&server).await;
            let refused = timeout(std::time::Duration::from_millis(100), stream.read(&mut [0])).await.is_ok();
            held.push(stream);
            refused
        },
        PATIENCE,
    )
    .await
    .unwrap();
    assert!(held.len() <= 4, "{}", held.len());
    drop(held);
    let fresh = client();
    let answers = async || fresh.get(format!("{}/livez", server.exchange)).send().await.is_ok();
    wait_for(answers, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn http2_is_spoken_in_clear_text_with_those_who_know() {
    let server = Harness::start().await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http2 = builder.http2_prior_knowledge().build().unwrap();
    let token = server.subject_token();
    let exchanges = (0..20).map(|_| {
        let request = crate::fleet::exchange_request(&http2, &server.exchange, &token, "acme");
        tokio::spawn(request.send())
    });
    for exchange in exchanges.collect::<Vec<_>>() {
        let answer = exchange.await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    }
}
