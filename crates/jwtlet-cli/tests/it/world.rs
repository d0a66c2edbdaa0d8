//! A server with its neighbours, and the command run against it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use jiff::Timestamp;
use jwtlet_server::{App, Config};
use jwtlet_testkit::{KeyType, Kubernetes, TokenBuilder, TokenPolicy, Vault, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const CONNECTOR: &str = "system:serviceaccount:demo:connector";
/// The service accounts of `examples/dataspace`.
pub(crate) const DATASPACE_ACCOUNTS: [&str; 4] =
    ["control-plane", "identity-hub", "provisioning-agent", "seed-job"];
const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "signing-jwtlet_pc";

/// A server in this process on free ports. Its cluster knows `demo/connector` `ops/{admin,reader,mapper,nobody}`, and
/// the accounts of `examples/dataspace`; the policy is empty.
pub(crate) struct World {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) vault: Vault,
    pub(crate) exchange: String,
    pub(crate) management: String,
    pub(crate) files: TempDir,
    _stop: DropGuard,
}

impl World {
    /// One that keeps the policy in this PostgreSQL database.
    pub(crate) async fn start_on(postgres: &str) -> Self {
        let storage = format!("[storage_backend]\ntype = \"postgres\"\nurl = \"{postgres}\"\n");
        let world = Self::launch_with(Vault::start().await.unwrap(), "RS256", &storage).await;
        world.wait_until_ready().await;
        world
    }

    /// One that answers one request of a source a second.
    pub(crate) async fn start_limited() -> Self {
        let limits = "[limits]\nsource_requests_per_second = 1\nsource_burst = 1\n";
        let world = Self::launch_with(Vault::start().await.unwrap(), "RS256", limits).await;
        world.wait_until_ready().await;
        world
    }

    pub(crate) async fn start() -> Self {
        let world = Self::launch().await;
        world.wait_until_ready().await;
        world
    }

    /// One that signs with a key of this type, and with this algorithm if the type is RSA.
    pub(crate) async fn start_with_key(key_type: KeyType, rsa_algorithm: &str) -> Self {
        let vault = Vault::start().await.unwrap();
        vault.create_key(KEY, key_type).unwrap();
        let world = Self::launch_with(vault, rsa_algorithm, "").await;
        world.wait_until_ready().await;
        world
    }

    async fn wait_until_ready(&self) {
        let ready = async || self.get(&self.exchange, "/readyz").await == Some(200);
        wait_for(ready, PATIENCE).await.unwrap();
    }

    /// One that may not become ready.
    pub(crate) async fn launch() -> Self {
        Self::launch_with(Vault::start().await.unwrap(), "RS256", "").await
    }

    async fn launch_with(vault: Vault, rsa_algorithm: &str, sections: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubernetes = Kubernetes::start().await.unwrap();
        kubernetes.create_service_account("demo", "connector");
        for name in ["admin", "reader", "mapper", "nobody"] {
            kubernetes.create_service_account("ops", name);
        }
        for name in DATASPACE_ACCOUNTS {
            kubernetes.create_service_account("dataspace", name);
        }
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("reviewer-token"), kubernetes.reviewer_token()).unwrap();
        let vault_token = vault.create_token(&TokenPolicy::signer_and_creator(KEY));
        fs::write(files.path().join("vault-token"), vault_token).unwrap();
        let file = files.path().join("jwtlet.toml");
        fs::write(&file, config(&kubernetes, &vault, files.path()) + sections).unwrap();
        let app = App::bind(
            Config::load(Some(&file), &[("JWTLET__VAULT__SIGNATURE_ALGORITHM".into(), rsa_algorithm.into())])
                .unwrap(),
        )
        .unwrap();
        let exchange = format!("http://{}", app.exchange_address());
        let management = format!("http://{}", app.management_address());
        let stop = CancellationToken::new();
        tokio::spawn(app.run(stop.clone()));
        Self { kubernetes, vault, exchange, management, files, _stop: stop.drop_guard() }
    }

    /// A token for the management API in the making.
    pub(crate) fn operator(&self, name: &str) -> TokenBuilder {
        self.kubernetes.token("ops", name).audience("jwtlet-management")
    }

    /// A token of `demo/connector` for the exchange API in the making.
    pub(crate) fn subject(&self) -> TokenBuilder {
        self.kubernetes.token("demo", "connector").audience("jwtlet-exchange")
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The command with both addresses and this token.
    pub(crate) fn with_token(&self, token: &str, arguments: &[&str]) -> Run {
        // Tests run several commands at a time.
        let name = format!("token-{}", uuid::Uuid::new_v4().simple());
        let file = self.write(&name, &format!("{token}\n"));
        self.without_token(arguments).env("JWTLET_TOKEN_FILE", file)
    }

    /// The command with both addresses as this account in `ops`.
    pub(crate) fn jwtlet_as(&self, operator: &str, arguments: &[&str]) -> Run {
        self.with_token(&self.operator(operator).mint(), arguments)
    }

    /// The command with both addresses as the administrator.
    pub(crate) fn jwtlet(&self, arguments: &[&str]) -> Run {
        self.jwtlet_as("admin", arguments)
    }

    /// The command with both addresses as `demo/connector`.
    pub(crate) fn exchange(&self, arguments: &[&str]) -> Run {
        self.with_token(&self.subject().mint(), &[&["exchange"], arguments].concat())
    }

    pub(crate) fn without_token(&self, arguments: &[&str]) -> Run {
        jwtlet(arguments).env("JWTLET_SERVER", &self.management).env("JWTLET_EXCHANGE_SERVER", &self.exchange)
    }

    /// Runs a command that has to succeed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.jwtlet(arguments).run().await;
        assert_eq!(ran.status, 0, "{ran}");
        ran
    }

    /// A small policy: `demo/connector` may read and write for `acme`.
    pub(crate) async fn with_policy(self) -> Self {
        self.ok(&["mapping", "create", CONNECTOR, "acme", "--scope", "read", "--scope", "write"]).await;
        self.ok(&["scope", "create", "read", "--claims", r#"{"role": "reader"}"#]).await;
        self
    }

    /// The output with everything that differs from run to run replaced.
    pub(crate) fn fixed(&self, ran: &Ran) -> String {
        let text = ran.to_string();
        let directory = self.files.path().to_str().unwrap().to_owned();
        let text = text.replace(&self.management, "[management]").replace(&self.exchange, "[exchange]");
        fixed(&text.replace(&directory, "[files]"))
    }

    pub(crate) async fn get(&self, base: &str, path: &str) -> Option<u16> {
        #[expect(clippy::disallowed_methods, reason = "a test client needs no limits")]
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        http.get(format!("{base}{path}")).send().await.ok().map(|answer| answer.status().as_u16())
    }
}

fn config(kubernetes: &Kubernetes, vault: &Vault, files: &Path) -> String {
    let (api_server, cluster_issuer, vault) = (kubernetes.url(), kubernetes.issuer(), vault.url());
    let files = files.display();
    format!(
        r#"
        issuer = "https://jwtlet.example.com"
        bind = "127.0.0.1"
        token_exchange_port = 0
        management_port = 0
        [k8s]
        api_server_url = "{api_server}"
        cluster_issuer = "{cluster_issuer}"
        review_cache_ttl = "0s"
        token_file = "{files}/reviewer-token"
        connect_timeout = "2s"
        request_timeout = "2s"
        [token]
        client_audience = "jwtlet-exchange"
        audience = "data-space"
        token_ttl_secs = 300
        [management]
        client_audience = "jwtlet-management"
        [vault]
        url = "{vault}"
        token_file = "{files}/vault-token"
        key_name = "{KEY}"
        request_timeout = "2s"
        [service_accounts]
        "system:serviceaccount:ops:admin" = ["management:write"]
        "system:serviceaccount:ops:reader" = ["jwtlet:management:read"]
        "system:serviceaccount:ops:mapper" = ["jwtlet:management:mappings:write"]
        "#
    )
}

/// A run of the command in the making. Its environment is what a test gives it, and nothing else.
pub(crate) struct Run {
    command: Command,
    input: Option<String>,
}

/// The command with nothing but these arguments.
pub(crate) fn jwtlet(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jwtlet"));
    command.args(arguments).env_clear().kill_on_drop(true);
    Run { command, input: None }
}

impl Run {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    pub(crate) async fn run(mut self) -> Ran {
        let input = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        let command = self.command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if let Some(text) = self.input {
            child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
        }
        let output = child.wait_with_output().await.unwrap();
        Ran {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What a run left. Displays as exit status, standard output and standard error.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.err, "");
        serde_json::from_str(&self.out).unwrap()
    }

    /// Asserts exit status and the beginning of what is said on standard error, with nothing on standard output.
    pub(crate) fn assert_fails(&self, status: i32, error: &str) {
        assert_eq!((self.status, &*self.out), (status, ""), "{self}");
        let said = self.err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(said.starts_with(&format!("error: {error}")), "{self}");
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n{}{}", self.status, self.out, self.err)
    }
}

/// The text with times, hashes and identifiers replaced, and columns as wide as that makes them.
pub(crate) fn fixed(text: &str) -> String {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.' | '_' | '+'));
    let mut result = String::new();
    for part in text.split_inclusive(is_separator) {
        let word = part.trim_end_matches(is_separator);
        let is_hex = |word: &str| word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let shown = match word {
            word if word.len() >= 20 && word.parse::<Timestamp>().is_ok() => "[time]",
            word if is_hex(word) => "[id]",
            word if word.len() == 10 && word.parse::<u32>().is_ok() => "[seconds]",
            word if word.starts_with("v1-") => "[tag]",
            // The name of a key of the cluster: a SHA-256 hash in base64url.
            word if word.len() == 43 && !word.contains([':', '.']) => "[kid]",
            word => word,
        };
        result.push_str(shown);
        result.push_str(&part[word.len()..]);
    }
    for (late, prompt) in [
        ("in 59m 59s", "in 1h"),
        ("in 59m 58s", "in 1h"),
        ("in 4m 59s", "in 5m"),
        ("in 4m 58s", "in 5m"),
        (" 1s ago", " 0s ago"),
        (" 1s apart", " 0s apart"),
    ] {
        result = result.replace(late, prompt);
    }
    if !result.contains("[time]") {
        return result;
    }
    let squeeze = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let words = line[indent..].split("  ").map(str::trim).filter(|word| !word.is_empty());
        format!("{}{}\n", &line[..indent], words.collect::<Vec<_>>().join("  "))
    };
    result.lines().map(squeeze).collect()
}

/// A mapping as the API wants it.
pub(crate) fn mapping(context: &str) -> Value {
    json!({"clientIdentifier": CONNECTOR, "participantContext": context, "scopes": ["read"]})
}
