//! The certificates of both ports, read again while the server runs.
//!
//! Whoever renews them replaces the files: cert-manager and the kubelet by renaming, others by writing over them, the
//! certificate and its key one after the other. So the files are compared by content every two seconds, and what does not
//! fit together is not used: the last good pair stays. Connections keep what they began with.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use jwtlet_core::upstream::chain;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::time::sleep;
use tracing::{info, warn};
use x509_parser::parse_x509_certificate;

use crate::{clock, config::TlsConfig};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// Why the certificates cannot be used. No text of a file is part of it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file holds no certificate.
    #[error("{path} holds no certificate in PEM format")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// A file holds no private key. The parser's reason could quote a part of one.
    #[error("{0} holds no private key in PEM format")]
    Key(PathBuf),
    /// A certificate of `client_ca_file` cannot be an authority.
    #[error("{path} holds a certificate that cannot be an authority")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// There is nothing to verify clients with.
    #[error("client certificates cannot be verified")]
    Verifier(#[from] VerifierBuilderError),
    /// Certificate and key do not belong together, or are of a kind that TLS does not know.
    #[error("the certificate and the private key cannot be used together")]
    Pair(#[source] rustls::Error),
}

/// What one port shows its clients at the moment.
pub(crate) type Certificate = Arc<ArcSwap<ServerConfig>>;

/// When the certificate that is shown at the moment expires.
#[derive(Debug)]
pub(crate) struct Expiry(AtomicI64);

impl Expiry {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(AtomicI64::new(expiry(certificate)))
    }

    /// In seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn warn(&self, path: &Path) {
        let seconds = self.seconds();
        if seconds <= clock::now().as_second() {
            let since = Timestamp::from_second(seconds).unwrap_or_default();
            warn!(certificate = %path.display(), %since, "the certificate has expired: clients will not accept it");
        }
    }
}

/// The certificates of both ports.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    exchange: Certificate,
    management: Certificate,
    expiry: Arc<Expiry>,
    fingerprint: [u8; 32],
}

impl Tls {
    /// Reads all files.
    ///
    /// # Errors
    /// Nobody could connect.
    pub(crate) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let files = Files::read(&config)?;
        let Servers { exchange, management, expiry } = files.servers(&config)?;
        expiry.warn(&config.cert_file);
        Ok(Self {
            config,
            exchange: Arc::new(ArcSwap::from_pointee(exchange)),
            management: Arc::new(ArcSwap::from_pointee(management)),
            expiry: Arc::new(expiry),
            fingerprint: files.fingerprint(),
        })
    }

    /// The one of the exchange API.
    pub(crate) fn exchange(&self) -> Certificate {
        Arc::clone(&self.exchange)
    }

    /// The one of the management API.
    pub(crate) fn management(&self) -> Certificate {
        Arc::clone(&self.management)
    }

    /// When what both show expires.
    pub(crate) fn expiry(&self) -> Arc<Expiry> {
        Arc::clone(&self.expiry)
    }

    /// Looks at the files now and then, for ever.
    pub(crate) async fn follow_files(mut self) {
        let mut last_problem = LastProblem::default();
        loop {
            sleep(POLL).await;
            let config = self.config.clone();
            // Reading takes a moment of a thread that has time.
            let Ok(files) = tokio::task::spawn_blocking(move || Files::read(&config)).await else { return };
            let outcome = files.and_then(|files| self.replace(&files));
            match outcome {
                Ok(()) => last_problem = LastProblem::default(),
                Err(error) => last_problem.note(chain(&error)),
            }
        }
    }

    fn replace(&mut self, files: &Files) -> Result<(), TlsError> {
        let fingerprint = files.fingerprint();
        if fingerprint != self.fingerprint {
            let Servers { exchange, management, expiry } = files.servers(&self.config)?;
            self.exchange.store(Arc::new(exchange));
            self.management.store(Arc::new(management));
            self.expiry.0.store(expiry.seconds(), Ordering::Relaxed);
            self.fingerprint = fingerprint;
            info!(certificate = %self.config.cert_file.display(), "new connections get the certificate that was read");
            expiry.warn(&self.config.cert_file);
        }
        Ok(())
    }
}

/// The problem of the last look, logged once when it was there twice: between the replacement of two files, each look
/// finds one.
#[derive(Debug, Default)]
struct LastProblem {
    text: Option<String>,
    is_logged: bool,
}

impl LastProblem {
    fn note(&mut self, text: String) {
        if self.text.as_ref() != Some(&text) {
            *self = Self { text: Some(text), is_logged: false };
        } else if !std::mem::replace(&mut self.is_logged, true) {
            warn!(error = text, "the TLS files cannot be used; the last good ones stay in use");
        }
    }
}

/// What the files make.
struct Servers {
    exchange: ServerConfig,
    /// It alone asks for certificates of clients.
    management: ServerConfig,
    expiry: Expiry,
}

/// The content of the files.
struct Files {
    certificates: Vec<u8>,
    key: SecretSlice<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause });
        Ok(Self {
            certificates: read(&config.cert_file)?,
            key: read(&config.key_file)?.into(),
            client_authorities: config.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let authorities = self.client_authorities.as_deref().unwrap_or_default();
        for file in [&self.certificates, self.key.expose_secret(), authorities] {
            context.update(&file.len().to_be_bytes());
            context.update(file);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }

    fn servers(&self, config: &TlsConfig) -> Result<Servers, TlsError> {
        let chain = certificates(&self.certificates, &config.cert_file)?;
        let expiry = Expiry::of(&chain[0]);
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret())
            .map_err(|_| TlsError::Key(config.key_file.clone()))?;
        let provider = Arc::new(default_provider());
        let verifier = match (&self.client_authorities, &config.client_ca_file) {
            (Some(text), Some(path)) => {
                let roots = Arc::new(authorities(text, path)?);
                Some(WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?)
            }
            _ => None,
        };
        let server = |verifier: Option<_>| {
            let builder = ServerConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Pair)?;
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let mut server =
                builder.with_single_cert(chain.clone(), key.clone_key()).map_err(TlsError::Pair)?;
            server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok::<_, TlsError>(server)
        };
        Ok(Servers { exchange: server(None)?, management: server(verifier)?, expiry })
    }
}

fn certificates(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = |cause| TlsError::Certificate { path: path.to_owned(), cause };
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(content)?;
    if certificates.is_empty() { Err(content(pem::Error::NoItemsFound)) } else { Ok(certificates) }
}

/// In seconds since 1970. What TLS accepts and this parser does not counts as expired, so that somebody looks at it.
fn expiry(certificate: &CertificateDer<'_>) -> i64 {
    parse_x509_certificate(certificate).map_or(0, |(_, parsed)| parsed.validity().not_after.timestamp())
}

fn authorities(text: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text, path)? {
        roots.add(certificate).map_err(|cause| TlsError::Authority { path: path.to_owned(), cause })?;
    }
    Ok(roots)
}
