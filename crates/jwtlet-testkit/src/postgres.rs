//! A real PostgreSQL server, thrown away afterwards.
//!
//! Installed binaries make a cluster in a temporary directory and serve it on a free loopback port. Its databases sort
//! text as people do, not byte by byte, because that is what production databases mostly do; and jwtlet's role in them
//! is no superuser. Whoever needs a server and does not find one fails and says so: a suite that skips itself proves
//! nothing.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::encoding::lock;
use crate::postgres_server::{Binaries, Cluster, Server, Signal, signal};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often to try again when another process takes the port.
const ATTEMPTS: u32 = 5;
/// The role that jwtlet connects as.
const ROLE: &str = "jwtlet";
/// The application name of the superuser's connections.
const ADMIN: &str = "testkit";

/// A server could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The binaries are missing.
    #[error(
        "there is no PostgreSQL server in {0}: install one (Debian: apt-get install postgresql), or set \
         JWTLET_POSTGRES_BIN to the directory of initdb and postgres"
    )]
    NotInstalled(String),
    /// Its directory, its port or a process could not be had.
    #[error("cannot start PostgreSQL")]
    Start(#[source] io::Error),
    /// No cluster could be made; what initdb wrote is here.
    #[error("initdb failed; it wrote:\n{0}")]
    Initdb(String),
    /// It ended or does not answer; what it wrote is here.
    #[error("PostgreSQL did not become ready; it wrote:\n{0}")]
    NotReady(String),
    /// A statement failed.
    #[error("PostgreSQL refused a statement")]
    Sql(#[from] sqlx::Error),
}

/// A running server. It ends, and all its data is gone, when this is dropped or the process ends, however that ends.
pub struct Postgres {
    cluster: Cluster,
    server: Mutex<Option<Server>>,
    port: u16,
    password: String,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Starts a server that does not wait for its disk: what it holds survives [`Postgres::stop`], but not the machine.
    ///
    /// # Errors
    /// [`PostgresError`] if the binaries are missing or do not come up.
    pub async fn start() -> Result<Self, PostgresError> {
        Self::launch(false).await
    }

    /// Starts a server that writes to its disk before it answers, as in production: for measurements.
    ///
    /// # Errors
    /// [`PostgresError`] if the binaries are missing or do not come up.
    pub async fn start_durable() -> Result<Self, PostgresError> {
        Self::launch(true).await
    }

    /// The one server of this process, for tests that need no more than a database of their own.
    ///
    /// # Errors
    /// [`PostgresError`] if the binaries are missing or do not come up.
    pub async fn shared() -> Result<&'static Self, PostgresError> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn launch(durable: bool) -> Result<Self, PostgresError> {
        let password = Uuid::new_v4().simple().to_string();
        let initial = password.clone();
        // initdb takes a while, and nothing in it waits for this thread.
        let cluster =
            tokio::task::spawn_blocking(move || Cluster::create(Binaries::find()?, &initial, durable))
                .await
                .map_err(|error| PostgresError::Start(io::Error::other(error)))??;
        let mut attempt = 1;
        let (port, server) = loop {
            let port = crate::postgres_server::free_port().map_err(PostgresError::Start)?;
            let mut server = cluster.serve(port).map_err(PostgresError::Start)?;
            match wait_until_ready(&cluster, &mut server, &admin(port, &password, "postgres")).await {
                Err(PostgresError::NotReady(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => break outcome.map(|()| (port, server))?,
            }
        };
        let postgres = Self { cluster, server: Mutex::new(Some(server)), port, password };
        let mut admin = postgres.admin_of("postgres").await?;
        let role = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{}'", postgres.password);
        sqlx::raw_sql(AssertSqlSafe(role)).execute(&mut admin).await?;
        admin.close().await?;
        Ok(postgres)
    }

    /// Creates an empty database and gives its URL. jwtlet's role owns it.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn database(&self) -> Result<String, PostgresError> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut admin = self.admin_of("postgres").await?;
        let create = format!(
            "CREATE DATABASE {name} OWNER {ROLE} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'"
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await?;
        admin.close().await?;
        Ok(self.url(&name))
    }

    /// The URL of a database for jwtlet's role.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{ROLE}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.password, self.port)
    }

    /// The password that is in every URL of this server, to look for where it must not be.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// A connection of the superuser to the database of a URL.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn admin(&self, url: &str) -> Result<PgConnection, PostgresError> {
        self.admin_of(database_name(url)).await
    }

    async fn admin_of(&self, database: &str) -> Result<PgConnection, PostgresError> {
        Ok(admin(self.port, &self.password, database).connect().await?)
    }

    /// All that the server logged. [`Postgres::log_statements`] makes it log every statement.
    ///
    /// # Errors
    /// [`PostgresError::Start`] if the log cannot be read.
    pub fn log(&self) -> Result<String, PostgresError> {
        self.cluster.output().map_err(PostgresError::Start)
    }

    /// From now on, new connections to the database of this URL have their statements logged, in lines that begin with
    /// the name of the database and that of the application.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn log_statements(&self, url: &str) -> Result<(), PostgresError> {
        let statement = format!("ALTER DATABASE {} SET log_statement = 'all'", database_name(url));
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.admin(url).await?).await?;
        Ok(())
    }

    /// From now on, new connections to the database of this URL have the plans of their statements logged.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn log_plans(&self, url: &str) -> Result<(), PostgresError> {
        let database = database_name(url);
        let statements = format!(
            "ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain'; \
             ALTER DATABASE {database} SET auto_explain.log_min_duration = 0"
        );
        let mut admin = self.admin(url).await?;
        sqlx::raw_sql("LOAD 'auto_explain'").execute(&mut admin).await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut admin).await?;
        Ok(())
    }

    /// Ends the server at once, as `pg_ctl stop -m immediate` does: connections are cut, and what was committed stays.
    pub fn stop(&self) {
        drop(lock(&self.server).take());
    }

    /// Starts the server again, on the same port and with what it held; stops it first if it runs.
    ///
    /// # Errors
    /// [`PostgresError`] if it does not come up.
    pub async fn restart(&self) -> Result<(), PostgresError> {
        self.stop();
        let mut server = self.cluster.serve(self.port).map_err(PostgresError::Start)?;
        wait_until_ready(&self.cluster, &mut server, &admin(self.port, &self.password, "postgres")).await?;
        *lock(&self.server) = Some(server);
        Ok(())
    }

    /// Freezes all processes of the server: connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// [`PostgresError::Start`] if the processes cannot be signalled.
    pub fn pause(&self) -> Result<(), PostgresError> {
        lock(&self.server).as_ref().map_or(Ok(()), Server::pause).map_err(PostgresError::Start)
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// [`PostgresError::Start`] if the processes cannot be signalled.
    pub fn resume(&self) -> Result<(), PostgresError> {
        lock(&self.server).as_ref().map_or(Ok(()), Server::resume).map_err(PostgresError::Start)
    }

    /// Cuts all connections to the database of this URL, but for those of [`Postgres::admin`].
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn terminate_backends(&self, url: &str) -> Result<(), PostgresError> {
        self.terminate(url, "%").await
    }

    /// Cuts the connections to the database of this URL that follow changes: those whose application name ends with
    /// ` feed`.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn terminate_listeners(&self, url: &str) -> Result<(), PostgresError> {
        self.terminate(url, "% feed").await
    }

    async fn terminate(&self, url: &str, application: &str) -> Result<(), PostgresError> {
        let mut admin = self.admin(url).await?;
        for process in backends(&mut admin, application).await? {
            sqlx::query("SELECT pg_terminate_backend($1)").bind(process).execute(&mut admin).await?;
        }
        Ok(())
    }

    /// Freezes the backends of the database of this URL whose application name is like this pattern of SQL, between two
    /// statements: in the middle of one they might hold a lock that all others need. They stay frozen until
    /// [`Frozen::thaw`], or until they are killed with the server.
    ///
    /// # Errors
    /// [`PostgresError`] if they cannot be found or signalled.
    pub async fn freeze(&self, url: &str, application: &str) -> Result<Frozen, PostgresError> {
        const IDLE: &str = "SELECT bool_and(state = 'idle') FROM pg_stat_activity WHERE pid = ANY ($1)";
        let mut admin = self.admin(url).await?;
        loop {
            let processes = backends(&mut admin, application).await?;
            let frozen = Frozen(processes.iter().map(|process| process.unsigned_abs()).collect());
            signal(Signal::Stop, &frozen.0).map_err(PostgresError::Start)?;
            let idle: Option<bool> = sqlx::query_scalar(IDLE).bind(&processes).fetch_one(&mut admin).await?;
            if idle != Some(false) {
                return Ok(frozen);
            }
            frozen.thaw()?;
        }
    }

    /// Fills the resource mappings of a database that jwtlet has set up with so many more: the clients
    /// `system:serviceaccount:seed:client-1` and so on, a thousand clients to a participant context `tenant-1` and so
    /// on, each with three of the scopes `api-0:read` to `api-99:read` and one audience. The planner knows of them.
    ///
    /// # Errors
    /// [`PostgresError::Sql`].
    pub async fn seed_mappings(&self, url: &str, count: u32) -> Result<(), PostgresError> {
        const SEED: &str = "
            INSERT INTO resource_mappings (client_identifier, participant_context, scopes, audiences)
            SELECT 'system:serviceaccount:seed:client-' || n, 'tenant-' || (n / 1000 + 1),
                   ARRAY['api-' || n % 100 || ':read', 'api-' || (n + 1) % 100 || ':read', 'api-' || (n + 2) % 100 || ':read'],
                   ARRAY['audience-' || n % 7]
            FROM generate_series(1, $1::bigint) AS n";
        let mut admin = self.admin(url).await?;
        sqlx::query(SEED).bind(i64::from(count)).execute(&mut admin).await?;
        sqlx::raw_sql("VACUUM (ANALYZE) resource_mappings").execute(&mut admin).await?;
        Ok(())
    }
}

/// Backends that are frozen.
#[derive(Debug)]
pub struct Frozen(Vec<u32>);

impl Frozen {
    /// Their process ids.
    #[must_use]
    pub fn processes(&self) -> &[u32] {
        &self.0
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`PostgresError::Start`] if they cannot be signalled.
    pub fn thaw(self) -> Result<(), PostgresError> {
        signal(Signal::Continue, &self.0).map_err(PostgresError::Start)
    }
}

async fn backends(admin: &mut PgConnection, application: &str) -> Result<Vec<i32>, sqlx::Error> {
    const BACKENDS: &str = "
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE $1 AND application_name <> $2";
    sqlx::query_scalar(BACKENDS).bind(application).bind(ADMIN).fetch_all(admin).await
}

fn database_name(url: &str) -> &str {
    let url = url.split('?').next().unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

fn admin(port: u16, password: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .password(password)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .application_name(ADMIN)
}

async fn wait_until_ready(
    cluster: &Cluster,
    server: &mut Server,
    admin: &PgConnectOptions,
) -> Result<(), PostgresError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(connection) = admin.connect().await {
            return Ok(connection.close().await?);
        }
        if server.has_ended().map_err(PostgresError::Start)? || Instant::now() >= deadline {
            return Err(PostgresError::NotReady(cluster.output().unwrap_or_default()));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

impl PostgresError {
    pub(crate) fn not_installed(searched: &[PathBuf]) -> Self {
        let searched: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
        Self::NotInstalled(searched.join(", "))
    }
}
