//! Configuration: a TOML file and variables, read in one pass into checked values.
//!
//! Nothing after this module asks whether a value is there or makes sense. `config.example.toml` describes every key.

mod check;
mod http;
mod limits;
mod reader;
mod source;
mod storage;

use std::{collections::BTreeMap, ffi::OsString, fmt, fs, net::IpAddr, path::Path, time::Duration};

use jwtlet_core::{Audience, ClientIdentifier, mapping::ClaimRules, role::Role};
use jwtlet_kubernetes::KubernetesSettings;
use jwtlet_store::StoreSettings;
use jwtlet_vault::{KubernetesLogin, LARGEST_BATCH, VaultAuth, VaultSettings};
use secrecy::SecretString;

pub use http::{HttpConfig, TlsConfig};
pub use limits::LimitsConfig;
pub use reader::Problem;
use reader::Reader;

/// What OpenBao takes in one request.
#[expect(clippy::cast_possible_wrap, reason = "a small constant")]
const MAX_BATCH: i64 = LARGEST_BATCH as i64;

/// Everything that the operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// `iss` of issued tokens; `None` derives it from the port that the exchange API is bound to.
    pub issuer: Option<String>,
    /// The address of both ports.
    pub bind: IpAddr,
    /// The port of the exchange API; 0 takes any free one.
    pub token_exchange_port: u16,
    /// The port of the management API; 0 takes any free one.
    pub management_port: u16,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// How both ports treat their clients.
    pub http: HttpConfig,
    /// How often somebody may ask.
    pub limits: LimitsConfig,
    /// The certificates of both ports; `None` serves in clear text.
    pub tls: Option<TlsConfig>,
    /// How subject tokens are verified.
    pub kubernetes: KubernetesSettings,
    /// `act.iss` of issued tokens.
    pub cluster_issuer: String,
    /// What issued tokens have in common.
    pub token: TokenConfig,
    /// The audience that a token for the management API must be bound to.
    pub management_audience: Audience,
    /// How tokens are signed.
    pub vault: VaultSettings,
    /// Where the policy is kept.
    pub storage: StoreSettings,
    /// The management roles of each service account.
    pub roles: BTreeMap<ClientIdentifier, Vec<Role>>,
    /// What works but should be looked at, one sentence each.
    pub warnings: Vec<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The `[token]` table.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The audience that a subject token must be bound to.
    pub client_audience: Audience,
    /// `aud` of a token for which none was requested.
    pub audience: Audience,
    /// How long a token lives, in seconds.
    pub ttl_secs: u32,
    /// Which claims mean something special.
    pub claim_rules: ClaimRules,
}

/// The configuration cannot be used. Displays as one message with every problem.
#[derive(Debug)]
pub struct ConfigError {
    /// What is wrong, at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "the configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file, if one is named, and lays the variables over it.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(file: Option<&Path>, variables: &[(OsString, OsString)]) -> Result<Self, ConfigError> {
        let table = match file {
            Some(path) => read_file(path).map_err(|problems| ConfigError { problems })?,
            None => source::Table::new(),
        };
        Self::read(table, variables)
    }

    /// Reads a text as if it were the file of this name, and lays the variables over it.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn parse(name: &Path, text: &str, variables: &[(OsString, OsString)]) -> Result<Self, ConfigError> {
        let table = parse_file(name, text).map_err(|problems| ConfigError { problems })?;
        Self::read(table, variables)
    }

    fn read(mut table: source::Table, variables: &[(OsString, OsString)]) -> Result<Self, ConfigError> {
        let unusable = source::overlay(&mut table, variables);
        let mut reader = Reader::new(table);
        for variable in unusable {
            let problem = Problem::of_file(Some(variable.origin), variable.path, variable.rule.to_owned());
            reader.note(problem);
        }
        let config = read(&mut reader);
        match (config, reader.finish()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(ConfigError { problems }),
        }
    }
}

/// The paths of all keys that a configuration may hold; the names in `service_accounts` are data.
#[must_use]
pub fn keys() -> Vec<String> {
    let mut reader = Reader::new(source::Table::new());
    let _ = read(&mut reader);
    reader.into_known()
}

fn read_file(path: &Path) -> Result<source::Table, Vec<Problem>> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| vec![Problem::of_file(None, name.clone(), format!("cannot be read: {error}"))])?;
    parse_file(path, &text)
}

fn parse_file(path: &Path, text: &str) -> Result<source::Table, Vec<Problem>> {
    source::parse_toml(path, text).map_err(|errors| {
        let problem =
            |error: source::SyntaxError| Problem::of_file(Some(error.origin), "syntax".into(), error.message);
        errors.into_iter().map(problem).collect()
    })
}

fn read(reader: &mut Reader) -> Option<Config> {
    let mut warnings = Vec::new();
    let issuer = reader.optional("issuer", |given| given.parse(check::issuer));
    let token_exchange_port =
        reader.with_default("token_exchange_port", 8080, |given| given.integer(0, 65535));
    let management_port = reader.with_default("management_port", 8081, |given| given.integer(0, 65535));
    if token_exchange_port == management_port && management_port != 0 {
        reader.problem(
            "management_port",
            format!("must differ from token_exchange_port, which is {management_port} too"),
        );
    }
    let any = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let bind = reader.with_default("bind", any, |given| given.parse(check::ip_address));
    let log_format =
        reader.with_default("log_format", LogFormat::Text, |given| given.parse(check::log_format));
    let http = http::read(reader);
    let limits = limits::read(reader);
    let tls = http::read_tls(reader);
    let storage = storage::read(reader, &mut warnings);

    let cluster = read_kubernetes(reader);
    let token = read_token(reader, &mut warnings);
    let management_audience =
        reader.optional("management.client_audience", |given| given.parse(check::audience));
    let own_token_file = cluster.as_ref().map(|(settings, _)| settings.token_file.clone());
    let token_ttl_secs = token.as_ref().map_or(0, |token| token.ttl_secs);
    let vault = read_vault(reader, own_token_file.unwrap_or_default(), token_ttl_secs, &mut warnings);
    let service_accounts_only = cluster.as_ref().is_none_or(|(settings, _)| settings.require_service_account);
    let roles = reader.entries("service_accounts", |name, given| {
        Ok((check::role_holder(name, service_accounts_only)?, check::roles(&given.texts()?)?))
    });

    let ((kubernetes, cluster_issuer), token, vault, storage) = (cluster?, token?, vault?, storage?);
    match &issuer {
        None => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            warnings.push(format!(
                "issuer is not set: tokens name {scheme}://localhost, which no verifier on another host can use"
            ));
        }
        Some(issuer) if tls.is_some() && issuer.starts_with("http:") => warnings.push(
            "issuer is http, but the exchange API is https: who follows the discovery documents finds nothing".into(),
        ),
        Some(_) => {}
    }
    let management_audience = management_audience.unwrap_or_else(|| {
        warnings.push("management.client_audience is not set: a token for an exchange is good for the management API too".into());
        token.client_audience.clone()
    });
    for (key, audience) in [
        ("token.client_audience", &token.client_audience),
        ("management.client_audience", &management_audience),
    ] {
        let same = |other: &String| other.trim_end_matches('/') == audience.as_str().trim_end_matches('/');
        if same(&cluster_issuer) || same(&kubernetes.api_server_url) {
            warnings.push(format!(
                "{key} is the cluster's own audience: such a token is good against the Kubernetes API too"
            ));
        }
    }
    Some(Config {
        issuer,
        bind,
        token_exchange_port,
        management_port,
        log_format,
        http,
        limits,
        tls,
        kubernetes,
        cluster_issuer,
        token,
        management_audience,
        vault,
        storage,
        roles: roles.into_iter().collect(),
        warnings,
    })
}

fn read_kubernetes(reader: &mut Reader) -> Option<(KubernetesSettings, String)> {
    let own = |name: &str| format!("/var/run/secrets/kubernetes.io/serviceaccount/{name}").into();
    let api_server_url = reader.required("k8s.api_server_url", |given| given.parse(check::kubernetes_url));
    let cluster_issuer = reader.required("k8s.cluster_issuer", |given| given.parse(check::plain_text));
    let token_file = reader.with_default("k8s.token_file", own("token"), |given| given.parse(check::path));
    let ca_file = reader.with_default("k8s.ca_file", own("ca.crt"), |given| given.parse(check::path));
    let require_service_account =
        reader.with_default("k8s.require_service_account", true, reader::Given::flag);
    let connect_timeout =
        reader.with_default("k8s.connect_timeout", check::seconds(5), |given| given.duration(1, 300));
    let request_timeout =
        reader.with_default("k8s.request_timeout", check::seconds(10), |given| given.duration(1, 300));
    let review_cache_ttl =
        reader.with_default("k8s.review_cache_ttl", check::seconds(10), |given| given.duration(0, 300));
    let review_cache_max_entries =
        reader.with_default("k8s.review_cache_max_entries", 100_000, |given| given.integer(1, 10_000_000));
    let max_concurrent_reviews =
        reader.with_default("k8s.max_concurrent_reviews", 64, |given| given.integer(1, 10_000));
    let max_waiting_reviews =
        reader.with_default("k8s.max_waiting_reviews", 1_024, |given| given.integer(0, 100_000));
    let settings = KubernetesSettings {
        api_server_url: api_server_url?,
        token_file,
        ca_file,
        require_service_account,
        connect_timeout,
        request_timeout,
        review_cache_ttl,
        review_cache_max_entries,
        max_concurrent_reviews,
        max_waiting_reviews,
    };
    Some((settings, cluster_issuer?))
}

fn read_token(reader: &mut Reader, warnings: &mut Vec<String>) -> Option<TokenConfig> {
    let client_audience = reader.required("token.client_audience", |given| given.parse(check::audience));
    let audience = reader.required("token.audience", |given| given.parse(check::audience));
    let context_claim =
        reader.with_default("token.participant_context_claim", "jwtlet_pc".to_owned(), |given| {
            given.parse(check::participant_context_claim)
        });
    let ttl_secs = reader.with_default("token.token_ttl_secs", 3600, |given| given.integer(1, 86_400));
    let space_delimited =
        reader.with_default("token.space_delimited_claims", vec!["scope".to_owned()], reader::Given::texts);
    if space_delimited.contains(&context_claim) {
        warnings.push(
            "token.space_delimited_claims names the participant context claim, which is never merged".into(),
        );
    }
    let claim_rules = ClaimRules::new(context_claim, space_delimited.into_iter().collect()).ok()?;
    Some(TokenConfig { client_audience: client_audience?, audience: audience?, ttl_secs, claim_rules })
}

fn read_vault(
    reader: &mut Reader,
    own_token_file: std::path::PathBuf,
    token_ttl_secs: u32,
    warnings: &mut Vec<String>,
) -> Option<VaultSettings> {
    let ways = ["vault.token_file", "vault.token", "vault.kubernetes_role"];
    let set: Vec<&str> = ways.into_iter().filter(|path| reader.is_set(path)).collect();
    let url = reader.required("vault.url", |given| given.parse(check::http_url));
    let token_file = reader.optional("vault.token_file", |given| given.parse(check::path));
    let token = reader.secret("vault.token", |given| given.parse(check::vault_token));
    let role = reader.optional("vault.kubernetes_role", |given| given.parse(check::vault_role));
    let is_mount_alone = reader.is_set("vault.kubernetes_mount") && !set.contains(&"vault.kubernetes_role");
    let mount = reader.optional("vault.kubernetes_mount", |given| given.parse(check::from_str));
    if is_mount_alone {
        reader.problem("vault.kubernetes_mount", "has a meaning only together with kubernetes_role");
    }
    let key_name = reader.optional("vault.key_name", |given| given.parse(check::from_str));
    let transit_mount = reader.optional("vault.transit_mount", |given| given.parse(check::from_str));
    let namespace = reader.optional("vault.namespace", |given| given.parse(check::from_str));
    let ca_file = reader.optional("vault.ca_file", |given| given.parse(check::path));
    let connect_timeout =
        reader.with_default("vault.connect_timeout", check::seconds(5), |given| given.duration(1, 300));
    let request_timeout =
        reader.with_default("vault.request_timeout", check::seconds(5), |given| given.duration(1, 300));
    let publish_before_sign =
        reader.with_default("vault.publish_before_sign", check::seconds(600), |given| {
            given.duration(300, 86_400)
        });
    let max_batch = reader.with_default("vault.max_batch", 200, |given| given.integer(1, MAX_BATCH));
    let max_in_flight = reader.with_default("vault.max_in_flight", 4, |given| given.integer(1, 1_024));
    let verify_signatures = reader.optional("vault.verify_signatures", |given| given.parse(check::from_str));
    let signature_algorithm =
        reader.optional("vault.signature_algorithm", |given| given.parse(check::from_str));
    match set.as_slice() {
        [_] => {}
        [] => reader.problem(
            "vault",
            "exactly one of token_file, token and kubernetes_role must be set, and none is",
        ),
        several => {
            let several: Vec<String> = several.iter().map(|path| reader.label(path)).collect();
            let several = several.join(" and ");
            reader.problem(
                "vault",
                format!("exactly one of token_file, token and kubernetes_role must be set, not {several}"),
            );
        }
    }
    let auth = match (token_file, token, role) {
        (Some(path), None, None) => VaultAuth::TokenFile(path),
        (None, Some(token), None) => VaultAuth::Token(SecretString::from(token)),
        (None, None, Some(role)) => VaultAuth::Kubernetes(KubernetesLogin {
            role,
            mount: mount.or_else(|| "kubernetes".parse().ok())?,
            token_file: own_token_file,
        }),
        _ => return None,
    };
    let (url, key_name) = (url?, key_name.or_else(|| "signing-jwtlet_pc".parse().ok())?);
    if ca_file.is_some() && url.starts_with("http:") {
        warnings.push("vault.ca_file is set, but vault.url is http: nothing checks who answers".into());
    }
    if check::is_plain_remote(&url) {
        warnings.push(
            "vault.url is http and not on this host: the Vault token crosses the network in clear text"
                .into(),
        );
    }
    Some(VaultSettings {
        url,
        auth,
        key_name,
        transit_mount: transit_mount.or_else(|| "transit".parse().ok())?,
        namespace,
        ca_file,
        connect_timeout,
        request_timeout,
        publish_before_sign,
        token_ttl: Duration::from_secs(token_ttl_secs.into()),
        max_batch,
        max_in_flight,
        verify_signatures: verify_signatures.unwrap_or_default(),
        signature_algorithm: signature_algorithm.unwrap_or_default(),
    })
}
