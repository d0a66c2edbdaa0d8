//! The process of an [`OpenBao`](super::OpenBao), its configuration file and its directory.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use uuid::Uuid;

/// The release whose binary is expected.
const VERSION: &str = "2.7.2";

/// What the configuration file says besides addresses and paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) on_disk: bool,
    pub(super) max_request_json_strings: Option<u32>,
    pub(super) max_request_size: Option<u32>,
}

/// A process, which ends with this, or the place where one was.
pub(super) struct Process {
    pub(super) address: SocketAddr,
    binary: PathBuf,
    child: Child,
    // Dropped after the process has ended.
    directory: PrivateDirectory,
}

impl Process {
    /// Starts a process with a directory of its own.
    pub(super) fn launch(binary: &Path, settings: &Settings) -> io::Result<Self> {
        let directory = PrivateDirectory::create()?;
        let (address, cluster_address) = free_addresses()?;
        let configuration = configuration(&directory.0, address, cluster_address, settings);
        fs::write(directory.0.join("configuration.json"), configuration.to_string())?;
        let child = spawn(binary, &directory.0)?;
        Ok(Self { address, binary: binary.to_owned(), child, directory })
    }

    /// Starts a process in the place of one that has ended.
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.child = spawn(&self.binary, &self.directory.0)?;
        Ok(())
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it has written so far, as far as that can be read.
    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.directory.0.join("output")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell either way.
        let _ = self.kill();
    }
}

/// Where the binary is expected.
pub(super) fn binary() -> PathBuf {
    let installed = || {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        workspace.join(format!(".tools/openbao-{VERSION}/bao"))
    };
    std::env::var_os("JWTLET_BAO").map_or_else(installed, PathBuf::from)
}

/// Two different ones: both ports are taken before either is given back.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (one, other) = (bind()?, bind()?);
    Ok((one.local_addr()?, other.local_addr()?))
}

fn configuration(
    directory: &Path,
    address: SocketAddr,
    cluster_address: SocketAddr,
    settings: &Settings,
) -> Value {
    let storage = if settings.on_disk {
        // The only one on disk. A cluster of one elects itself at once with this multiplier.
        json!({ "raft": { "path": directory, "node_id": "only", "performance_multiplier": 1 } })
    } else {
        json!({ "inmem": {} })
    };
    let mut listener = json!({ "address": address, "cluster_address": cluster_address, "tls_disable": true });
    if let Some(strings) = settings.max_request_json_strings {
        listener["max_request_json_strings"] = strings.into();
    }
    if let Some(bytes) = settings.max_request_size {
        listener["max_request_size"] = bytes.into();
    }
    json!({
        "storage": storage,
        "listener": [{ "tcp": listener }],
        "api_addr": format!("http://{address}"),
        "cluster_addr": format!("https://{cluster_address}"),
    })
}

fn spawn(binary: &Path, directory: &Path) -> io::Result<Child> {
    let output = File::options().create(true).append(true).open(directory.join("output"))?;
    Command::new(binary)
        .arg("server")
        .arg("-config")
        .arg(directory.join("configuration.json"))
        .env_clear()
        .env("HOME", directory)
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()
}

/// A directory that only this user can enter, removed with its content when this is dropped.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("jwtlet-openbao-{}", Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
