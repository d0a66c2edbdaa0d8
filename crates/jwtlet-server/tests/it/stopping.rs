//! The end of a server: nothing that was begun is lost, and nobody is kept waiting.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jwtlet_testkit::{Postgres, wait_for, wait_until};
use reqwest::{Client, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::{Replica, Storage, client, exchange_request, postgres},
    harness::{Answer, CONNECTOR, Harness, PATIENCE},
    management::mapping,
    program::{Neighbours, is_ready},
};

const DELAY: &str = "JWTLET__HTTP__SHUTDOWN_DELAY";
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: jwtlet\r\n\r\n";

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// An answer of this connection, as far as it was read at once.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(PROBE).await.unwrap();
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test]
async fn during_the_delay_it_is_not_ready_but_serves_and_says_goodbye() {
    let server = Harness::start_with(&[(DELAY, "3s")]).await;
    let (mut used, mut idle) = (
        TcpStream::connect(address(&server.exchange)).await.unwrap(),
        TcpStream::connect(address(&server.exchange)).await.unwrap(),
    );
    for stream in [&mut used, &mut idle] {
        assert!(!ask(stream).await.contains("connection: close"));
    }
    server.stop.cancel();
    server.wait_until_not_ready().await;
    assert_eq!(server.get("/readyz").await.body, "stopping\n");
    let goodbye = ask(&mut used).await;
    assert!(goodbye.starts_with("HTTP/1.1 200 OK") && goodbye.contains("connection: close"), "{goodbye}");
    let mut new = TcpStream::connect(address(&server.exchange)).await.unwrap();
    assert!(ask(&mut new).await.starts_with("HTTP/1.1 200 OK"));
    server.server.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn without_a_delay_idle_connections_are_closed_at_once() {
    let server = Harness::start().await;
    let mut idle = TcpStream::connect(address(&server.exchange)).await.unwrap();
    ask(&mut idle).await;
    server.stop.cancel();
    server.server.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn clients_of_http2_finish_what_they_began_and_go_elsewhere() {
    let server = Harness::start_with(&[(DELAY, "2s")]).await;
    server.map(CONNECTOR, "acme", &[], &[]).await;
    #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
    let builder = Client::builder().no_proxy().tls_certs_only([]);
    let http2 = builder.http2_prior_knowledge().build().unwrap();
    let token = server.subject_token();
    let exchange = || Answer::of(exchange_request(&http2, &server.exchange, &token, "acme"));
    assert_eq!(exchange().await.status, 200);
    server.vault.faults().set_latency(Duration::from_millis(700));
    let reviews = server.kubernetes.reviews();
    let running = async {
        wait_until(|| server.kubernetes.reviews() > reviews, PATIENCE).await.unwrap();
        server.stop.cancel();
    };
    let (answer, ()) = tokio::join!(exchange(), running);
    assert_eq!(answer.status, 200);
    // On a connection of its own: the old one has been told to go away.
    assert_eq!(exchange().await.status, 200);
    server.server.await.unwrap().unwrap();
}

/// A balancer of TCP connections: new ones go in turn to the replicas that are ready.
#[derive(Clone, Default)]
struct Balancer {
    replicas: Arc<Mutex<Vec<SocketAddr>>>,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    fn set(&self, replicas: &[&Replica]) {
        *self.replicas.lock().unwrap() = replicas.iter().map(|replica| address(&replica.exchange)).collect();
    }

    async fn wait_for(&self, count: usize) {
        wait_until(|| self.ready.lock().unwrap().len() == count, PATIENCE).await.unwrap();
    }

    /// Looks at the replicas as a load balancer does, for ever.
    async fn probe(self) {
        let http = client();
        loop {
            let replicas = self.replicas.lock().unwrap().clone();
            let mut ready = Vec::new();
            for replica in replicas {
                if is_ready(&http, &format!("http://{replica}")).await {
                    ready.push(replica);
                }
            }
            *self.ready.lock().unwrap() = ready;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn serve(self, listener: TcpListener) {
        let mut turn = 0;
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let ready = self.ready.lock().unwrap().clone();
            turn += 1;
            let replica = ready[turn % ready.len()];
            tokio::spawn(async move {
                let mut server = TcpStream::connect(replica).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    }
}

/// Exchanges again and again until told to stop; what went wrong.
async fn exchange_always(
    http: Client,
    url: String,
    token: String,
    count: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.is_cancelled() {
        match exchange_request(&http, &url, &token, "acme").send().await {
            Ok(answer) if answer.status() == 200 => {}
            Ok(answer) => failures.push(answer.status().to_string()),
            Err(error) => failures.push(format!("{error:?}")),
        }
        count.fetch_add(1, Relaxed);
    }
    failures
}

#[tokio::test]
async fn a_rolling_restart_of_two_replicas_under_load_loses_no_request() {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let neighbours = Neighbours::start().await;
    let mut storage: Storage = postgres(&database);
    storage.insert(DELAY, "1s".to_owned());
    let mut a = Replica::start(&neighbours, &storage).await;
    let mut b = Replica::start(&neighbours, &storage).await;
    assert_eq!(a.call(Method::POST, "/mappings", Some(&mapping(CONNECTOR, "acme"))).await.status, 201);

    let balancer = Balancer::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    balancer.set(&[&a, &b]);
    let mut background = JoinSet::new();
    background.spawn(balancer.clone().probe());
    balancer.wait_for(2).await;
    background.spawn(balancer.clone().serve(listener));

    let (count, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let mut load = JoinSet::new();
    for worker in 0..8 {
        // Half of them keep their connections, and the others open a new one for each request.
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
        let http = Client::builder().no_proxy().tls_certs_only([]);
        let http = if worker % 2 == 0 { http } else { http.pool_max_idle_per_host(0) }.build().unwrap();
        let (url, token) = (url.clone(), a.subject_token.clone());
        load.spawn(exchange_always(http, url, token, Arc::clone(&count), stop.clone()));
    }
    let progress = async || {
        let before = count.load(Relaxed);
        wait_for(async || count.load(Relaxed) > before + 50, PATIENCE).await.unwrap();
    };

    for turn in 0..2 {
        progress().await;
        let old = if turn == 0 { &mut a } else { &mut b };
        old.program.signal("TERM");
        assert_eq!(old.program.ended().await, 0, "{}", old.program.err());
        *old = Replica::start(&neighbours, &storage).await;
        balancer.set(&[&a, &b]);
        balancer.wait_for(2).await;
    }
    progress().await;
    stop.cancel();
    let failures = load.join_all().await.concat();
    assert_eq!(failures, Vec::<String>::new(), "of {} exchanges", count.load(Relaxed));
}
