//! The `[storage_backend]` table.

use std::path::PathBuf;

use jwtlet_store::{Backend, PostgresSettings, StoreSettings};

use super::{
    check,
    reader::{Given, Reader},
};

const MIB: u64 = 1024 * 1024;

/// A policy of ten thousand mappings of the usual size, and more.
const CACHE_BYTES: u64 = 64 * MIB;

const MAX_CACHE_BYTES: i64 = 64 * 1024 * 1024 * 1024;

const DAY_SECS: u64 = 24 * 60 * 60;

const PATH: &str = "storage_backend.path";
const URL: &str = "storage_backend.url";
const MAX_CONNECTIONS: &str = "storage_backend.pool.max_connections";
const MIN_CONNECTIONS: &str = "storage_backend.pool.min_connections";
const POOL: [&str; 11] = [
    MAX_CONNECTIONS,
    MIN_CONNECTIONS,
    "storage_backend.pool.acquire_timeout",
    "storage_backend.pool.idle_timeout",
    "storage_backend.pool.max_lifetime",
    "storage_backend.pool.application_name",
    "storage_backend.pool.statement_cache_capacity",
    "storage_backend.pool.sslmode",
    "storage_backend.pool.ssl_root_cert",
    "storage_backend.pool.test_before_acquire",
    "storage_backend.pool.run_migrations_on_startup",
];

/// Where policy is kept, before it is known how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageType {
    Memory,
    Sqlite,
    Postgres,
}

/// Reads the table. `None` means that a problem was noted.
pub(super) fn read(reader: &mut Reader, warnings: &mut Vec<String>) -> Option<StoreSettings> {
    let is_typed = reader.is_set("storage_backend.type");
    let given = reader.optional("storage_backend.type", |given| given.parse(check::storage_type));
    // Which keys belong to a type that cannot be read is not known.
    let chosen = if is_typed { given } else { Some(StorageType::Memory) };
    let set: Vec<&str> = [PATH, URL].into_iter().chain(POOL).filter(|path| reader.is_set(path)).collect();
    let policy_cache_bytes =
        reader.with_default("storage_backend.policy_cache_bytes", CACHE_BYTES, |given| {
            given.integer(0, MAX_CACHE_BYTES)
        });
    let path = reader.with_default(PATH, PathBuf::from("jwtlet.db"), |given| given.parse(check::path));
    let is_postgres = chosen == Some(StorageType::Postgres);
    let postgres = read_postgres(reader, is_postgres);
    if let Some(chosen) = chosen {
        refuse_strangers(reader, chosen, &set);
    }
    let backend = match chosen? {
        StorageType::Memory => Backend::Memory,
        StorageType::Sqlite => Backend::Sqlite { path },
        StorageType::Postgres => {
            let settings = postgres?;
            if settings.is_unprotected() {
                warnings.push(
                    "storage_backend.url is not on this host, and sslmode is not verify-full or verify-ca: \
                     nothing makes sure that the database is the right one"
                        .into(),
                );
            }
            Backend::Postgres(settings)
        }
    };
    Some(StoreSettings { backend, policy_cache_bytes })
}

/// Names the keys that belong to another type: who set them expects something else than what would happen.
fn refuse_strangers(reader: &mut Reader, chosen: StorageType, set: &[&str]) {
    for path in set {
        let (owner, name) =
            if *path == PATH { (StorageType::Sqlite, "sqlite") } else { (StorageType::Postgres, "postgres") };
        if owner != chosen {
            reader.problem(path, format!("has a meaning only with storage_backend.type = \"{name}\""));
        }
    }
}

fn read_postgres(reader: &mut Reader, is_chosen: bool) -> Option<PostgresSettings> {
    let url = if is_chosen {
        reader.required_secret(URL, |given| given.parse(check::postgres_url))
    } else {
        reader.secret(URL, |given| given.parse(check::postgres_url))
    };
    // The other keys are read also when there is no URL: one message lists every problem.
    let [_, _, acquire, idle, lifetime, name, statements, sslmode, root_cert, test, migrate] = POOL;
    let max_connections = reader.with_default(MAX_CONNECTIONS, 10, |given| given.integer(1, 10_000));
    let min_connections = reader.with_default(MIN_CONNECTIONS, 0, |given| given.integer(0, 10_000));
    if min_connections > max_connections {
        reader.problem(
            MIN_CONNECTIONS,
            format!("must be at most max_connections, which is {max_connections}; it is {min_connections}"),
        );
    }
    let acquire_timeout = reader.with_default(acquire, check::seconds(5), |given| given.duration(1, 300));
    let idle_timeout =
        reader.with_default(idle, check::seconds(10 * 60), |given| given.duration(1, DAY_SECS));
    let max_lifetime =
        reader.with_default(lifetime, check::seconds(30 * 60), |given| given.duration(1, DAY_SECS));
    let application_name =
        reader.with_default(name, "jwtlet".to_owned(), |given| given.parse(check::application_name));
    let statement_cache_capacity = reader.with_default(statements, 100, |given| given.integer(0, 10_000));
    let sslmode = reader.optional(sslmode, |given| given.parse(check::from_str));
    let ssl_root_cert = reader.optional(root_cert, |given| given.parse(check::path));
    let test_before_acquire = reader.with_default(test, true, Given::flag);
    let run_migrations_on_startup = reader.with_default(migrate, true, Given::flag);
    let mut settings = url?;
    settings.max_connections = max_connections;
    settings.min_connections = min_connections;
    settings.acquire_timeout = acquire_timeout;
    settings.idle_timeout = idle_timeout;
    settings.max_lifetime = max_lifetime;
    settings.application_name = application_name;
    settings.statement_cache_capacity = statement_cache_capacity;
    settings.sslmode = sslmode;
    settings.ssl_root_cert = ssl_root_cert;
    settings.test_before_acquire = test_before_acquire;
    settings.run_migrations_on_startup = run_migrations_on_startup;
    Some(settings)
}
