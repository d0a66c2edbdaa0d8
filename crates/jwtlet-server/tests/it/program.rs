//! The built binary as a process of its own.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use jwtlet_testkit::{Kubernetes, TokenPolicy, Vault, wait_for, wait_until};
use tempfile::TempDir;

use crate::harness::{KEY, PATIENCE};

/// A running process with everything that it wrote so far. It is killed when the test ends.
pub(crate) struct Program {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// The binary that this build made.
    pub(crate) fn command() -> Command {
        Self::command_of(env!("CARGO_BIN_EXE_jwtlet-server").as_ref())
    }

    /// Another binary, in an environment without anything of the test's own.
    pub(crate) fn command_of(binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.env_clear();
        // Where temporary files go is the machine's business.
        command.envs(std::env::var_os("TMPDIR").map(|directory| ("TMPDIR", directory)));
        command
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.out.lock().unwrap().clone()).unwrap()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        String::from_utf8(self.err.lock().unwrap().clone()).unwrap()
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    pub(crate) async fn wait_for_out(&self, text: &str) {
        let seen = wait_until(|| self.out().contains(text), PATIENCE).await;
        assert!(seen.is_ok(), "{text:?} is not in {}{}", self.out(), self.err());
    }

    /// Waits for the end. Gives the exit status; output is complete then.
    pub(crate) async fn ended(&mut self) -> i32 {
        let mut status = None;
        let ended = wait_until(
            || {
                status = self.child.try_wait().unwrap();
                // The threads that read let go of the text when the pipes are empty.
                status.is_some() && Arc::strong_count(&self.out) + Arc::strong_count(&self.err) == 2
            },
            PATIENCE,
        );
        ended.await.unwrap();
        status.unwrap().code().unwrap()
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let text = Arc::new(Mutex::new(Vec::new()));
    let target = Arc::clone(&text);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            target.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    });
    text
}

/// A Kubernetes and a Vault with the files that a process needs in front of them.
pub(crate) struct Neighbours {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) vault: Vault,
    pub(crate) files: TempDir,
}

impl Neighbours {
    pub(crate) async fn start() -> Self {
        let neighbours = Self {
            kubernetes: Kubernetes::start().await.unwrap(),
            vault: Vault::start().await.unwrap(),
            files: tempfile::tempdir().unwrap(),
        };
        neighbours.kubernetes.create_service_account("ops", "admin");
        neighbours.kubernetes.create_service_account("demo", "connector");
        let vault_token = neighbours.vault.create_token(&TokenPolicy::signer_and_creator(KEY));
        neighbours.write("reviewer-token", &neighbours.kubernetes.reviewer_token());
        neighbours.write("vault-token", &vault_token);
        neighbours
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.files.path().join(name), text).unwrap();
    }

    /// Writes a configuration for these ports and gives its path.
    pub(crate) fn config(&self, exchange_port: u16, management_port: u16) -> String {
        let (kubernetes, issuer, vault) = (self.kubernetes.url(), self.kubernetes.issuer(), self.vault.url());
        let files = self.files.path().display();
        let text = format!(
            r#"
            bind = "127.0.0.1"
            token_exchange_port = {exchange_port}
            management_port = {management_port}
            [k8s]
            api_server_url = "{kubernetes}"
            cluster_issuer = "{issuer}"
            token_file = "{files}/reviewer-token"
            [token]
            client_audience = "jwtlet-exchange"
            audience = "data-space"
            [management]
            client_audience = "jwtlet-management"
            [vault]
            url = "{vault}"
            token_file = "{files}/vault-token"
            request_timeout = "20s"
            [service_accounts]
            "system:serviceaccount:ops:admin" = ["management:write"]
            "#
        );
        self.write("jwtlet.toml", &text);
        format!("{files}/jwtlet.toml")
    }
}

/// Waits until the process says where its API is (`exchange`, `management`); gives the URL.
pub(crate) async fn address(program: &Program, api: &str) -> String {
    let marker = format!("the {api} API is bound");
    let line = |text: String| text.lines().find(|line| line.contains(&marker)).map(str::to_owned);
    let said = wait_until(|| line(program.err()).is_some(), PATIENCE).await;
    assert!(said.is_ok(), "{}", program.err());
    let line = line(program.err()).unwrap();
    let start = line.find("127.0.0.1:").unwrap();
    let end = line[start..].find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
    format!("http://{}", &line[start..end.map_or(line.len(), |end| start + end)])
}

/// Waits until this process is ready.
pub(crate) async fn ready(http: &reqwest::Client, exchange: &str) {
    wait_for(async || is_ready(http, exchange).await, PATIENCE).await.unwrap();
}

/// Whether the process behind this URL is ready.
pub(crate) async fn is_ready(http: &reqwest::Client, exchange: &str) -> bool {
    let answer = http.get(format!("{exchange}/readyz")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}
