//! A server behind TLS.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::world::{World, jwtlet};

/// Puts TLS in front of an address. Gives the URL and the certificate authority.
pub(crate) async fn in_front_of(url: &str) -> (String, String) {
    asking_clients(url, None).await
}

/// The same, for clients with a certificate of this authority only, where there is one.
async fn asking_clients(url: &str, clients: Option<&Certificate>) -> (String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::default();
    server.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        }
    };
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = format!("https://{}", listener.local_addr().unwrap());
    let back = url.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, back) = (acceptor.clone(), back.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away.
                if let Ok(mut connection) = acceptor.accept(connection).await {
                    let mut server = TcpStream::connect(back).await.unwrap();
                    let _ = copy_bidirectional(&mut connection, &mut server).await;
                }
            });
        }
    });
    (front, ca_certificate.pem())
}

#[tokio::test]
async fn the_named_authority_is_trusted_and_no_other() {
    let world = World::start().await;
    let (url, ca) = in_front_of(&world.management).await;
    let ca = world.write("ca.pem", &ca);
    let run = || world.jwtlet(&["mapping", "list"]).env("JWTLET_SERVER", &url);
    assert_eq!(run().env("JWTLET_CA_FILE", &ca).run().await.status, 0);
    let (_, other) = in_front_of(&world.management).await;
    let other = world.write("other.pem", &other);
    let ran = run().env("JWTLET_CA_FILE", &other).run().await;
    insta::assert_snapshot!(ran.to_string().replace(&url, "[url]"), @"
    exit 12
    error: the certificate of [url] is not trusted: the call failed: error sending request: client error (Connect): invalid peer certificate: BadSignature
    help: name the certificate authority that signed it with --ca-file FILE (JWTLET_CA_FILE), and use a host name that the certificate has
    ");
    // The host name counts too.
    let named = url.replace("127.0.0.1", "localhost");
    let ran = run().env("JWTLET_SERVER", &named).env("JWTLET_CA_FILE", &ca).run().await;
    ran.assert_fails(12, &format!("the certificate of {named} is not trusted: "));
}

#[tokio::test]
async fn an_address_with_the_wrong_scheme_says_so() {
    let world = World::start().await;
    let (url, ca) = in_front_of(&world.management).await;
    let ca = world.write("ca.pem", &ca);
    let plain = world.management.replace("http://", "https://");
    let ran = world
        .jwtlet(&["mapping", "list"])
        .env("JWTLET_SERVER", &plain)
        .env("JWTLET_CA_FILE", &ca)
        .run()
        .await;
    ran.assert_fails(12, &format!("{plain} does not speak TLS"));
    let clear = url.replace("https://", "http://");
    let ran = world.jwtlet(&["mapping", "list"]).env("JWTLET_SERVER", &clear).run().await;
    assert_eq!(ran.status, 11, "{ran}");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    let world = World::start().await;
    for (text, error) in [("", "holds no usable PEM certificate"), ("x", "holds no usable PEM certificate")] {
        let file = world.write("ca.pem", text);
        let arguments =
            ["mapping", "list", "--server", "https://127.0.0.1:1", "--ca-file", file.to_str().unwrap()];
        let ran = world.jwtlet(&arguments).run().await;
        ran.assert_fails(12, "the certificate authorities cannot be used: the CA file ");
        assert!(ran.err.contains(error), "{ran}");
    }
    let ran = jwtlet(&["doctor", "--server", "https://127.0.0.1:1", "--ca-file", "/nonexistent"]).run().await;
    assert!(ran.out.contains("cannot read the CA file /nonexistent"), "{ran}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks_for_one() {
    let world = World::start().await;
    let (authority_key, mut authority) = (KeyPair::generate().unwrap(), CertificateParams::default());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let client_key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let client = CertificateParams::default().signed_by(&client_key, &issuer).unwrap();
    let (url, ca) = asking_clients(&world.management, Some(&authority_certificate)).await;
    let ca = world.write("ca.pem", &ca);
    let certificate = world.write("client.pem", &client.pem());
    let key = world.write("client.key", &client_key.serialize_pem());
    let other_key = world.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let run = || world.jwtlet(&["mapping", "list"]).env("JWTLET_SERVER", &url).env("JWTLET_CA_FILE", &ca);
    let with = |key| run().env("JWTLET_CLIENT_CERTIFICATE", &certificate).env("JWTLET_CLIENT_KEY", key);
    assert_eq!(with(&key).run().await.status, 0);

    let ran = run().run().await;
    ran.assert_fails(12, &format!("{url} does not accept the client certificate, or there is none: "));
    let ran = with(&other_key).run().await;
    ran.assert_fails(12, "the client certificate cannot be used: ");
    let ran = with(&ca).run().await;
    ran.assert_fails(12, "the client certificate cannot be used: ");
    assert!(ran.err.contains("client.pem holds no certificate in PEM format, or "), "{ran}");
    let ran = run().env("JWTLET_CLIENT_KEY", &key).run().await;
    ran.assert_fails(2, "--client-certificate and --client-key must be given together");
}
