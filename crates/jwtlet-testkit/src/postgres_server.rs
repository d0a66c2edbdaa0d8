//! The processes and files of a PostgreSQL cluster.
//!
//! A server refuses to run as root, so then it runs as `postgres`. Its backends are process groups of their own, and the
//! process that started it may be killed; so a watcher holds the other end of a pipe, ends the server and removes the
//! files when the pipe closes.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use uuid::Uuid;

use crate::postgres::PostgresError;

/// Ends what runs on the cluster `$1` once standard input closes, and removes it. Frozen processes end too.
const WATCH: &str = r#"
    cat >/dev/null
    server=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$server" ] && [ "$(readlink "/proc/$server/cwd")" = "$1/data" ]; then
        backends=$(cat "/proc/$server/task/$server/children")
        kill -CONT $server $backends
        kill -QUIT $server
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            kill -0 $server || break
            sleep 0.1
        done
        kill -KILL $server
    fi 2>/dev/null
    rm -rf "$1"
"#;

/// Where the programs of a PostgreSQL installation are.
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Those that `JWTLET_POSTGRES_BIN` names, or else the newest in Debian's place, or else those in `PATH`.
    pub(crate) fn find() -> Result<Self, PostgresError> {
        let mut candidates = Vec::new();
        if let Some(directory) = env::var_os("JWTLET_POSTGRES_BIN") {
            candidates.push(PathBuf::from(directory));
        } else {
            let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            let mut versions: Vec<_> = installed.map(|entry| entry.path().join("bin")).collect();
            versions.sort_by_key(|path| {
                let version = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
                std::cmp::Reverse(version.and_then(|name| name.parse::<u32>().ok()))
            });
            candidates.extend(versions);
            candidates.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        }
        let complete = |path: &&PathBuf| path.join("initdb").is_file() && path.join("postgres").is_file();
        match candidates.iter().find(complete) {
            Some(found) => Ok(Self(found.clone())),
            None => Err(PostgresError::not_installed(&candidates)),
        }
    }

    /// A program of the installation, to be run as a user that may.
    fn command(&self, program: &str) -> io::Result<Command> {
        let mut command = Command::new(self.0.join(program));
        if is_root()? {
            command.uid(id("-u")?).gid(id("-g")?);
        }
        // Settings of libpq and the time zone of whoever runs the tests have no say in it.
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .process_group(0);
        Ok(command)
    }
}

/// The files of a server, and who removes them.
pub(crate) struct Cluster {
    binaries: Binaries,
    directory: PathBuf,
    watcher: Child,
    /// The watcher acts when this is closed.
    pipe: Option<ChildStdin>,
}

impl Cluster {
    /// A new cluster whose superuser `postgres` has this password.
    pub(crate) fn create(binaries: Binaries, password: &str, durable: bool) -> Result<Self, PostgresError> {
        let parent = fs::canonicalize(env::temp_dir()).map_err(PostgresError::Start)?;
        let directory = parent.join(format!("jwtlet-postgres-{}", Uuid::new_v4()));
        let cluster = Self::prepare(binaries, directory, password).map_err(PostgresError::Start)?;
        let output = cluster.initdb().map_err(PostgresError::Start)?;
        if !output.status.success() {
            return Err(PostgresError::Initdb(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        cluster.configure(durable).map_err(PostgresError::Start)?;
        Ok(cluster)
    }

    fn prepare(binaries: Binaries, directory: PathBuf, password: &str) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&directory)?;
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "watch"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = watcher.stdin.take();
        let cluster = Self { binaries, directory, watcher, pipe };
        let file = cluster.directory.join("password");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?
            .write_all(password.as_bytes())?;
        if is_root()? {
            let (user, group) = (id("-u")?, id("-g")?);
            chown(&file, Some(user), Some(group))?;
            chown(&cluster.directory, Some(user), Some(group))?;
        }
        Ok(cluster)
    }

    fn initdb(&self) -> io::Result<std::process::Output> {
        self.binaries
            .command("initdb")?
            .current_dir(&self.directory)
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(self.directory.join("password"))
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .output()
    }

    fn configure(&self, durable: bool) -> io::Result<()> {
        let file = self.data().join("postgresql.conf");
        let mut settings = OpenOptions::new().append(true).open(file)?;
        // Enough connections for many tests at a time.
        let common = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 300\n\
                      log_line_prefix = '%d [%a] '\nshared_buffers = '64MB'\n";
        settings.write_all(common.as_bytes())?;
        if !durable {
            settings.write_all(b"fsync = off\nfull_page_writes = off\n")?;
        }
        Ok(())
    }

    /// Starts a server on the cluster. It answers a while later.
    pub(crate) fn serve(&self, port: u16) -> io::Result<Server> {
        let output = OpenOptions::new().create(true).append(true).open(self.directory.join("output"))?;
        output.set_permissions(Permissions::from_mode(0o600))?;
        let child = self
            .binaries
            .command("postgres")?
            .current_dir(&self.directory)
            .arg("-D")
            .arg(self.data())
            .args(["-p", &port.to_string()])
            .stderr(File::try_clone(&output)?)
            .stdout(output)
            .spawn()?;
        Ok(Server(child))
    }

    /// What all servers on this cluster wrote.
    pub(crate) fn output(&self) -> io::Result<String> {
        fs::read_to_string(self.directory.join("output"))
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It has ended by itself when it could not do its part; there is nobody to tell.
        let _ = self.watcher.wait();
    }
}

/// A server process; it ends when this is dropped.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    pub(crate) fn pause(&self) -> io::Result<()> {
        // First, so that it starts no more of them.
        signal(Signal::Stop, &[self.0.id()])?;
        signal(Signal::Stop, &self.backends()?)
    }

    pub(crate) fn resume(&self) -> io::Result<()> {
        signal(Signal::Continue, &self.backends()?)?;
        signal(Signal::Continue, &[self.0.id()])
    }

    fn backends(&self) -> io::Result<Vec<u32>> {
        let server = self.0.id();
        let text = fs::read_to_string(format!("/proc/{server}/task/{server}/children"))?;
        text.split_whitespace().map(|pid| pid.parse().map_err(io::Error::other)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended by itself has nobody to signal; one that is frozen has to go on to end.
        let _ = self.resume();
        let _ = signal(Signal::Quit, &[self.0.id()]);
        let _ = self.0.wait();
    }
}

/// What a process can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Stop,
    Continue,
    Quit,
}

/// Tells these processes.
pub(crate) fn signal(signal: Signal, processes: &[u32]) -> io::Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    let name = match signal {
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
        Signal::Quit => "-QUIT",
    };
    let mut command = Command::new("sh");
    command.args(["-c", "kill \"$@\"", "kill", name]).args(processes.iter().map(ToString::to_string));
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill {name} failed"))) }
}

/// A port of the loopback interface that nobody uses at the moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_root() -> io::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

/// An id of the user `postgres`.
fn id(which: &str) -> io::Result<u32> {
    let output = Command::new("id").args([which, "postgres"]).output()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(io::Error::other)
}
