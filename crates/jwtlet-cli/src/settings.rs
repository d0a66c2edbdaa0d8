//! The global options, checked: where the servers are, and as whom they are called.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, parser::ValueSource};
use jwtlet_core::{Audience, service_account::ServiceAccount};
use jwtlet_upstream::{ClientCertificate, HttpSettings};
use reqwest::Url;

use crate::{
    cli::Global,
    client::{Endpoint, ExchangeClient, ManagementClient},
    credentials::{Token, TokenSource},
    error::Error,
    input::InputError,
    port::Port,
    text::without_tokens,
};

/// Everything that a command needs to talk to the servers.
#[derive(Debug)]
pub(crate) struct Settings {
    server: Option<String>,
    exchange_server: Option<String>,
    ca_file: Option<PathBuf>,
    client_certificate: Option<ClientCertificate>,
    management_audience: Audience,
    exchange_audience: Audience,
    tokens: TokenSource,
    timeout: Duration,
    verbose: bool,
}

impl Settings {
    /// Checks the global options. Empty ones count as absent: templates leave variables empty that they have no value
    /// for.
    pub(crate) fn new(global: &Global, matches: &ArgMatches) -> Result<Self, Error> {
        let audience = |given: Option<&String>, port: Port, name| {
            let text = some(given).unwrap_or(port.default_audience());
            Audience::parse(text).map_err(|rule| InputError::Name { name, rule })
        };
        Ok(Self {
            server: some(global.server.as_ref()).map(str::to_owned),
            exchange_server: some(global.exchange_server.as_ref()).map(str::to_owned),
            ca_file: some(global.ca_file.as_ref()).map(PathBuf::from),
            client_certificate: client_certificate(global)?,
            management_audience: audience(
                global.management_audience.as_ref(),
                Port::Management,
                "--management-audience",
            )?,
            exchange_audience: audience(
                global.exchange_audience.as_ref(),
                Port::Exchange,
                "--exchange-audience",
            )?,
            tokens: token_source(global, matches)?,
            timeout: Duration::from_secs(global.timeout),
            verbose: global.verbose,
        })
    }

    /// The audience that tokens for this port need.
    pub(crate) fn audience(&self, port: Port) -> &Audience {
        match port {
            Port::Management => &self.management_audience,
            Port::Exchange => &self.exchange_audience,
        }
    }

    /// Whether an address is given for this port.
    pub(crate) fn names(&self, port: Port) -> bool {
        self.address(port).is_some()
    }

    /// Where tokens come from.
    pub(crate) fn tokens(&self) -> &TokenSource {
        &self.tokens
    }

    /// A token for this port.
    pub(crate) fn token(&self, port: Port) -> Result<Token, Error> {
        self.tokens.token(port, self.audience(port).as_str())
    }

    /// The management API with a token.
    pub(crate) fn management(&self) -> Result<ManagementClient, Error> {
        let endpoint = self.endpoint(Port::Management)?;
        Ok(ManagementClient::new(endpoint, self.token(Port::Management)?))
    }

    /// The exchange API.
    pub(crate) fn exchange(&self) -> Result<ExchangeClient, Error> {
        Ok(ExchangeClient::new(self.endpoint(Port::Exchange)?))
    }

    /// The server behind a port.
    pub(crate) fn endpoint(&self, port: Port) -> Result<Endpoint, Error> {
        let base = base_url(port, self.address(port).ok_or(Error::NoServer(port))?)?;
        let http = HttpSettings {
            tls: base.scheme() == "https",
            ca_file: self.ca_file.clone(),
            ca_file_optional: false,
            client_certificate: self.client_certificate.clone(),
            connect_timeout: self.timeout.min(Duration::from_secs(10)),
            request_timeout: self.timeout,
        };
        Ok(Endpoint::new(port, base, http, self.verbose))
    }

    fn address(&self, port: Port) -> Option<&str> {
        match port {
            Port::Management => self.server.as_deref(),
            Port::Exchange => self.exchange_server.as_deref(),
        }
    }
}

fn some(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A certificate has a key.
fn client_certificate(global: &Global) -> Result<Option<ClientCertificate>, InputError> {
    match (some(global.client_certificate.as_ref()), some(global.client_key.as_ref())) {
        (Some(cert_file), Some(key_file)) => {
            Ok(Some(ClientCertificate { cert_file: cert_file.into(), key_file: key_file.into() }))
        }
        (None, None) => Ok(None),
        _ => Err(InputError::HalfClientCertificate),
    }
}

/// An option on the command line beats a variable; two of one rank are a contradiction.
fn token_source(global: &Global, matches: &ArgMatches) -> Result<TokenSource, Error> {
    let file = some(global.token_file.as_ref());
    let account = some(global.service_account.as_ref());
    let is_flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
    let (file, account) = match (file, account) {
        (Some(file), Some(account)) => match (is_flag("token_file"), is_flag("service_account")) {
            (true, false) => (Some(file), None),
            (false, true) => (None, Some(account)),
            _ => return Err(InputError::TwoTokenSources.into()),
        },
        one => one,
    };
    if let Some(file) = file {
        if without_tokens(file) != file {
            return Err(Error::TokenInArguments("--token-file"));
        }
        return Ok(TokenSource::File(file.to_owned()));
    }
    let Some(account) = account else { return Ok(TokenSource::Projected) };
    let user =
        account.split_once('/').map(|(namespace, name)| format!("system:serviceaccount:{namespace}:{name}"));
    let account = user.and_then(|user| user.parse::<ServiceAccount>().ok());
    account.map(TokenSource::Kubectl).ok_or_else(|| InputError::ServiceAccount.into())
}

/// An address without what people add to it by mistake, and without a slash at its end.
fn base_url(port: Port, address: &str) -> Result<Url, Error> {
    let bad = |rule| Error::Address { port, rule };
    let trimmed = address.trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(port.superfluous_suffix()).unwrap_or(trimmed);
    let url = Url::parse(trimmed).map_err(|_| bad("it must be a URL with http:// or https://"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("it must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it must not have a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not have a query or a fragment"));
    }
    Ok(url)
}
