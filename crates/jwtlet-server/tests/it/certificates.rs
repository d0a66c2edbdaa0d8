//! TLS on both ports: certificates from files, replaced while the server runs, and certificates of clients.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use jwtlet_testkit::{wait_for, wait_until};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use reqwest::{Body, Certificate, Client, ClientBuilder, Identity, Version};
use tokio::sync::mpsc;

use crate::{
    harness::{Answer, PATIENCE},
    program::{Neighbours, Program, address, ready},
};

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for loopback.
    pub(crate) fn server(&self) -> Pair {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.sign(&CertificateParams::new(names).unwrap())
    }

    /// A certificate of a client, good until this year.
    fn client(&self, until: i32) -> Pair {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts this authority alone.
    pub(crate) fn client_builder(&self) -> ClientBuilder {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
        let builder = Client::builder();
        builder.no_proxy().tls_certs_only([Certificate::from_pem(self.pem.as_bytes()).unwrap()])
    }

    pub(crate) fn http(&self) -> Client {
        self.client_builder().build().unwrap()
    }
}

impl Pair {
    fn write(&self, directory: &Path) {
        fs::write(directory.join("tls.crt"), &self.certificate).unwrap();
        fs::write(directory.join("tls.key"), &self.key).unwrap();
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(format!("{}{}", self.certificate, self.key).as_bytes()).unwrap()
    }
}

/// A process with a certificate of this authority, and its two URLs.
struct Server {
    neighbours: Neighbours,
    program: Program,
    exchange: String,
    management: String,
}

impl Server {
    async fn start(authority: &Authority, client_authority: Option<&Authority>) -> Self {
        let neighbours = Neighbours::start().await;
        let directory = neighbours.files.path();
        authority.server().write(directory);
        let mut command = Program::command();
        command.arg(neighbours.config(0, 0));
        command.env("JWTLET__TLS__CERT_FILE", directory.join("tls.crt"));
        command.env("JWTLET__TLS__KEY_FILE", directory.join("tls.key"));
        if let Some(client_authority) = client_authority {
            fs::write(directory.join("clients.crt"), &client_authority.pem).unwrap();
            command.env("JWTLET__TLS__CLIENT_CA_FILE", directory.join("clients.crt"));
        }
        let program = Program::start(&mut command);
        let exchange = address(&program, "exchange").await.replace("http:", "https:");
        let management = address(&program, "management").await.replace("http:", "https:");
        ready(&authority.http(), &exchange).await;
        Self { neighbours, program, exchange, management }
    }

    /// Whether a new connection to this API of this client is answered.
    async fn answers(&self, client: &Client, url: &str) -> bool {
        client.get(format!("{url}/livez")).send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

#[tokio::test]
async fn both_ports_speak_tls_and_the_client_chooses_between_http2_and_http1() {
    let authority = Authority::new();
    let server = Server::start(&authority, None).await;
    let http1 = authority.client_builder().http1_only().build().unwrap();
    for url in [&server.exchange, &server.management] {
        for (client, version) in [(&authority.http(), Version::HTTP_2), (&http1, Version::HTTP_11)] {
            let answer = client.get(format!("{url}/livez")).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        }
        let plain = http1.get(format!("{}/livez", url.replace("https:", "http:"))).send().await;
        assert!(plain.is_err(), "{plain:?}");
    }
}

#[tokio::test]
async fn without_an_issuer_the_discovery_documents_name_https() {
    let authority = Authority::new();
    let server = Server::start(&authority, None).await;
    let url = format!("{}/.well-known/openid-configuration", server.exchange);
    let document = Answer::of(authority.http().get(url)).await.json();
    let issuer = server.exchange.replace("127.0.0.1", "localhost");
    assert_eq!(document["issuer"], issuer);
    assert_eq!(document["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert!(server.program.err().contains("tokens name https://localhost"), "{}", server.program.err());
}

/// A body that comes in parts.
struct Parts(mpsc::Receiver<Bytes>);

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|part| Some(Ok(Frame::data(part?))))
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_served_and_connections_are_kept() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = Server::start(&old, None).await;
    let kept = old.http();
    for url in [&server.exchange, &server.management] {
        assert!(server.answers(&kept, url).await);
    }
    // A request that is under way all the time: its body is not complete.
    let (parts, body) = mpsc::channel(1);
    let form = Body::wrap(Parts(body));
    let request = kept.post(format!("{}/token", server.exchange));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let under_way = tokio::spawn(request.send());
    parts.send(Bytes::from_static(b"grant_type=")).await.unwrap();

    new.server().write(server.neighbours.files.path());
    // A new connection each time: what is pooled keeps the old certificate.
    let is_served = async || {
        server.answers(&new.http(), &server.exchange).await
            && server.answers(&new.http(), &server.management).await
    };
    wait_for(is_served, Duration::from_secs(5)).await.expect("what is promised is 5 seconds");
    assert!(!server.answers(&old.http(), &server.exchange).await);
    for url in [&server.exchange, &server.management] {
        assert!(server.answers(&kept, url).await, "a connection was dropped");
    }
    drop(parts);
    assert_eq!(under_way.await.unwrap().unwrap().status(), 400);
}

#[tokio::test]
async fn a_bad_replacement_is_one_log_line_and_the_old_certificate_stays() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = Server::start(&old, None).await;
    let directory = server.neighbours.files.path();
    let (pair, stranger) = (new.server(), new.server());
    let complaints = || server.program.err().matches("the TLS files cannot be used").count();
    let half = &pair.certificate[..pair.certificate.len() / 2];
    for (count, (certificate, key)) in
        [("junk", "junk"), (half, &pair.key), (&pair.certificate, &stranger.key)].into_iter().enumerate()
    {
        fs::write(directory.join("tls.crt"), certificate).unwrap();
        fs::write(directory.join("tls.key"), key).unwrap();
        wait_until(|| complaints() > count, PATIENCE).await.unwrap();
        assert!(server.answers(&old.http(), &server.exchange).await);
    }
    fs::remove_file(directory.join("tls.key")).unwrap();
    wait_until(|| complaints() > 3, PATIENCE).await.unwrap();
    pair.write(directory);
    wait_for(async || server.answers(&new.http(), &server.exchange).await, PATIENCE).await.unwrap();
    assert_eq!(complaints(), 4, "{}", server.program.err());
    let log = server.program.err();
    let secret = |key: &str| key.lines().nth(1).unwrap().to_owned();
    assert!(!log.contains(&secret(&pair.key)) && !log.contains(&secret(&stranger.key)), "{log}");
}

#[tokio::test]
async fn the_management_port_wants_a_certificate_of_its_clients_and_the_exchange_port_does_not() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let server = Server::start(&authority, Some(&clients)).await;
    let with = |pair: Pair| authority.client_builder().identity(pair.identity()).build().unwrap();
    let known = with(clients.client(2999));
    assert!(server.answers(&known, &server.management).await);
    assert!(server.answers(&authority.http(), &server.exchange).await);
    for refused in [authority.http(), with(strangers.client(2999)), with(clients.client(2001))] {
        assert!(!server.answers(&refused, &server.management).await);
        assert!(server.answers(&refused, &server.exchange).await);
    }
}

#[tokio::test]
async fn the_authority_of_clients_is_read_again_too() {
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let server = Server::start(&authority, Some(&old)).await;
    let with =
        |of: &Authority| authority.client_builder().identity(of.client(2999).identity()).build().unwrap();
    assert!(server.answers(&with(&old), &server.management).await);
    fs::write(server.neighbours.files.path().join("clients.crt"), &new.pem).unwrap();
    wait_for(async || server.answers(&with(&new), &server.management).await, PATIENCE).await.unwrap();
    assert!(!server.answers(&with(&old), &server.management).await);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_ends_the_start() {
    let neighbours = Neighbours::start().await;
    let directory = neighbours.files.path();
    let pair = Authority::new().server();
    pair.write(directory);
    fs::write(directory.join("tls.key"), "junk").unwrap();
    let mut command = Program::command();
    command.arg(neighbours.config(0, 0));
    command.env("JWTLET__TLS__CERT_FILE", directory.join("tls.crt"));
    command.env("JWTLET__TLS__KEY_FILE", directory.join("tls.key"));
    let mut program = Program::start(&mut command);
    assert_eq!(program.ended().await, 1);
    let log = program.err();
    assert!(log.contains("TLS cannot be served: ") && log.contains("tls.key holds no private key"), "{log}");
}
