//! The settings of a PostgreSQL database.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Which database, of PostgreSQL 13 or newer, and how to connect to it.
///
/// Everything is said here: the `PG*` variables of the environment and `.pgpass` do not fill in what a URL leaves out.
/// The driver offers no way around four of them: `PGOPTIONS`, `PGSSLCERT` and `PGSSLKEY` count when they are set, and
/// `PGSSLROOTCERT` does unless [`PostgresSettings::ssl_root_cert`] or the URL names a file.
///
/// Connections have to be sessions of their own: a pooler in front of the database has to pool sessions, not
/// transactions, because changes are followed with `LISTEN`.
#[derive(Clone)]
pub struct PostgresSettings {
    url: SecretString,
    /// The most connections for requests; at least 1. One more follows the changes of other replicas.
    pub max_connections: u32,
    /// So many connections are kept open while there is nothing to do; at most `max_connections`.
    pub min_connections: u32,
    /// How long a request waits for a connection, also for a new one to be made.
    pub acquire_timeout: Duration,
    /// A connection that was idle for so long is closed.
    pub idle_timeout: Duration,
    /// A connection that is so old is closed once it is idle, so that replicas move to a new server or credential.
    pub max_lifetime: Duration,
    /// What `pg_stat_activity` shows. The connection that follows changes has ` feed` behind it.
    pub application_name: String,
    /// How many prepared statements each connection keeps.
    pub statement_cache_capacity: usize,
    /// Whether the connection is encrypted, and the server verified. `None` leaves it to the URL, or else to
    /// [`SslMode::Prefer`].
    pub sslmode: Option<SslMode>,
    /// A file of PEM certificates, of which one has to have signed the server's; besides the public authorities.
    pub ssl_root_cert: Option<PathBuf>,
    /// Whether a connection is tried before a request gets it. That costs one round trip; without it, requests fail
    /// after the database was restarted, one for each connection that was open.
    pub test_before_acquire: bool,
    /// Whether the schema is brought up to date. Without it a database with an older schema is not used.
    pub run_migrations_on_startup: bool,
}

/// How far a connection is protected, as PostgreSQL names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can; the server is not verified, so neither reading nor altering on the way is
    /// prevented.
    Prefer,
    /// Encrypted; the server is not verified.
    Require,
    /// Encrypted, and a known authority has signed the certificate of the server.
    VerifyCa,
    /// Like [`SslMode::VerifyCa`], and the certificate is for the host of the URL.
    VerifyFull,
}

/// The text names no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of disable, prefer, require, verify-ca, verify-full")]
pub struct UnknownSslMode;

/// Why a URL cannot be used. Displays as a rule that follows the name of a field, and repeats no part of the URL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresUrlError {
    /// Another scheme.
    #[error("must begin with postgresql:// or postgres://")]
    Scheme,
    /// A part that has no default is missing.
    #[error("must name {0}, as in postgresql://user:password@host:5432/database")]
    Missing(&'static str),
    /// The URL cannot be parsed.
    #[error("must be a URL such as postgresql://user:password@host:5432/database: {0}")]
    Malformed(#[source] sqlx::Error),
}

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(text: &str) -> Result<Self, UnknownSslMode> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(UnknownSslMode),
        }
    }
}

impl From<SslMode> for PgSslMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => Self::Disable,
            SslMode::Prefer => Self::Prefer,
            SslMode::Require => Self::Require,
            SslMode::VerifyCa => Self::VerifyCa,
            SslMode::VerifyFull => Self::VerifyFull,
        }
    }
}

impl PostgresSettings {
    /// The database at this URL, with the defaults: up to 10 connections and none kept open, 5 s to get one, 10 minutes
    /// of idleness, 30 minutes of life, the name `jwtlet`, 100 prepared statements, connections tried before use, and a
    /// schema that is brought up to date. The URL names user, host and database; its port is 5432 by default, and its
    /// password empty.
    ///
    /// # Errors
    /// What the URL lacks.
    pub fn new(url: SecretString) -> Result<Self, PostgresUrlError> {
        let settings = Self {
            url,
            max_connections: 10,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(10),
            max_lifetime: Duration::from_mins(30),
            application_name: "jwtlet".into(),
            statement_cache_capacity: 100,
            sslmode: None,
            ssl_root_cert: None,
            test_before_acquire: true,
            run_migrations_on_startup: true,
        };
        settings.connect_options()?;
        Ok(settings)
    }

    /// Whether policy may be read and altered between here and the database: the host is not this machine, and the mode
    /// does not verify it.
    #[must_use]
    pub fn is_unprotected(&self) -> bool {
        let Ok(options) = self.connect_options() else { return false };
        let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
        let here = options.get_socket().is_some()
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !verified && !here
    }

    /// What the driver needs to connect.
    pub(super) fn connect_options(&self) -> Result<PgConnectOptions, PostgresUrlError> {
        let url = self.url.expose_secret();
        let mut options =
            PgConnectOptions::from_str(&completed(url)?).map_err(PostgresUrlError::Malformed)?;
        if let Some(mode) = self.sslmode {
            options = options.ssl_mode(mode.into());
        }
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        Ok(options
            .application_name(&self.application_name)
            .statement_cache_capacity(self.statement_cache_capacity))
    }
}

impl fmt::Debug for PostgresSettings {
    /// Without the URL, which has the password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("application_name", &self.application_name)
            .field("statement_cache_capacity", &self.statement_cache_capacity)
            .field("sslmode", &self.sslmode)
            .field("ssl_root_cert", &self.ssl_root_cert)
            .field("test_before_acquire", &self.test_before_acquire)
            .field("run_migrations_on_startup", &self.run_migrations_on_startup)
            .finish_non_exhaustive()
    }
}

/// The URL with a value for each part that the driver would otherwise take from the environment. Only which parts are
/// there is looked at; the driver reads them.
fn completed(url: &str) -> Result<String, PostgresUrlError> {
    let rest = url
        .strip_prefix("postgresql://")
        .or_else(|| url.strip_prefix("postgres://"))
        .ok_or(PostgresUrlError::Scheme)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) =
        user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));

    let parameter = |names: &[&str]| {
        query.split('&').any(|pair| names.contains(&pair.split_once('=').map_or(pair, |(name, _)| name)))
    };
    let given =
        |part: Option<&str>, names: &[&str]| part.is_some_and(|part| !part.is_empty()) || parameter(names);
    for (part, names, what) in [
        (user, &["user"][..], "a user"),
        (host.split(':').next().unwrap_or_default(), &["host", "hostaddr"][..], "a host"),
        (path, &["dbname"][..], "a database"),
    ] {
        if !given(Some(part), names) {
            return Err(PostgresUrlError::Missing(what));
        }
    }
    let mut completed = format!("postgresql://{location}?{query}");
    for (part, names, default) in [
        (port, &["port"][..], "&port=5432"),
        (password, &["password"][..], "&password="),
        (None, &["sslmode", "ssl-mode"][..], "&sslmode=prefer"),
    ] {
        if !given(part, names) {
            completed.push_str(default);
        }
    }
    Ok(completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<PostgresSettings, PostgresUrlError> {
        PostgresSettings::new(url.into())
    }

    fn options(url: &str) -> PgConnectOptions {
        settings(url).unwrap().connect_options().unwrap()
    }

    #[test]
    fn a_url_says_everything_or_the_defaults_do() {
        let given = options("postgresql://ann:p%40ss@db.example:6543/policy?sslmode=verify-full");
        assert_eq!((given.get_host(), given.get_port(), given.get_username()), ("db.example", 6543, "ann"));
        assert_eq!(given.get_database(), Some("policy"));
        assert!(matches!(given.get_ssl_mode(), PgSslMode::VerifyFull));
        assert_eq!(given.get_application_name(), Some("jwtlet"));

        let short = options("postgres://ann@[::1]/policy");
        assert_eq!(short.get_port(), 5432);
        assert!(matches!(short.get_ssl_mode(), PgSslMode::Prefer));

        let parameters = options("postgres:///?host=/run/pg&user=ann&dbname=policy&port=1");
        assert_eq!(parameters.get_socket().unwrap().to_str(), Some("/run/pg"));
        assert_eq!((parameters.get_port(), parameters.get_username()), (1, "ann"));
    }

    #[test]
    fn a_url_that_leaves_out_what_has_no_default_is_refused() {
        let message = |url| settings(url).unwrap_err().to_string();
        assert_eq!(message("mysql://ann@host/db"), "must begin with postgresql:// or postgres://");
        for (url, what) in [
            ("postgres://host/db", "a user"),
            ("postgres://ann@/db", "a host"),
            ("postgres://ann@:5432/db", "a host"),
            ("postgres://ann@host", "a database"),
            ("postgres://ann@host/", "a database"),
        ] {
            let rule = format!("must name {what}, as in postgresql://user:password@host:5432/database");
            assert_eq!(message(url), rule, "{url}");
        }
        assert!(message("postgres://ann:secret@host:none/db").starts_with("must be a URL such as"));
        assert!(!message("postgres://ann:secret@host:none/db").contains("secret"));
        assert!(message("postgres://ann@host/db?sslmode=maybe").contains("maybe"));
    }

    #[test]
    fn a_setting_wins_over_the_url() {
        let mut settings = settings("postgres://ann@host/db?sslmode=disable").unwrap();
        assert!(settings.is_unprotected());
        settings.sslmode = Some("verify-ca".parse().unwrap());
        assert!(!settings.is_unprotected());
        assert_eq!("allow".parse::<SslMode>(), Err(UnknownSslMode));
    }

    #[test]
    fn a_database_on_this_machine_needs_no_protection() {
        for url in [
            "postgres://ann@localhost/db",
            "postgres://ann@127.0.0.1/db",
            "postgres://ann@[::1]/db",
            "postgres://ann@%2Frun%2Fpg/db",
        ] {
            assert!(!settings(url).unwrap().is_unprotected(), "{url}");
        }
        assert!(settings("postgres://ann@10.0.0.1/db").unwrap().is_unprotected());
    }

    #[test]
    fn debug_output_has_no_secret() {
        let text = format!("{:?}", settings("postgres://ann:secret@host/db").unwrap());
        assert!(!text.contains("secret") && text.contains("max_connections: 10"), "{text}");
    }
}
