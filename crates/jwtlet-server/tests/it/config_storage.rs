//! The `[storage_backend]` table: where policy is kept.

use jwtlet_server::Config;
use jwtlet_store::Backend;

use crate::config::{GOOD, load, problems};

const URL: &str = "postgresql://jwtlet:hunter2@localhost:5432/jwtlet";

fn with(table: &str) -> String {
    format!("{GOOD}[storage_backend]\n{table}\n")
}

fn loaded(table: &str) -> Config {
    load(&with(table), &[]).unwrap()
}

fn pool(line: &str) -> String {
    with(&format!("type = \"postgres\"\nurl = \"{URL}\"\n[storage_backend.pool]\n{line}"))
}

#[test]
fn each_type_has_its_keys() {
    assert!(matches!(loaded("type = \"memory\"").storage.backend, Backend::Memory));
    let Backend::Sqlite { path } = loaded("type = \"sqlite\"").storage.backend else { panic!() };
    assert_eq!(path.to_str(), Some("jwtlet.db"));
    let Backend::Sqlite { path } = loaded("type = \"sqlite\"\npath = \"/data/x.db\"").storage.backend else {
        panic!()
    };
    assert_eq!(path.to_str(), Some("/data/x.db"));
    let config = loaded(&format!("type = \"postgres\"\nurl = \"{URL}\"\npolicy_cache_bytes = 0"));
    assert_eq!(config.storage.policy_cache_bytes, 0);
    let Backend::Postgres(settings) = config.storage.backend else { panic!() };
    insta::assert_snapshot!(format!("{settings:#?}"), @r#"
    PostgresSettings {
        max_connections: 10,
        min_connections: 0,
        acquire_timeout: 5s,
        idle_timeout: 600s,
        max_lifetime: 1800s,
        application_name: "jwtlet",
        statement_cache_capacity: 100,
        sslmode: None,
        ssl_root_cert: None,
        test_before_acquire: true,
        run_migrations_on_startup: true,
        ..
    }
    "#);
}

#[test]
fn every_key_of_the_pool_is_read() {
    let lines = "max_connections = 4\nmin_connections = 2\nacquire_timeout = \"2s\"\nidle_timeout = \"1m\"\n\
                 max_lifetime = \"1h\"\napplication_name = \"j 1\"\nstatement_cache_capacity = 0\n\
                 sslmode = \"verify-full\"\nssl_root_cert = \"/ca.pem\"\ntest_before_acquire = false\n\
                 run_migrations_on_startup = false";
    let Backend::Postgres(settings) = load(&pool(lines), &[]).unwrap().storage.backend else { panic!() };
    insta::assert_snapshot!(format!("{settings:#?}"), @r#"
    PostgresSettings {
        max_connections: 4,
        min_connections: 2,
        acquire_timeout: 2s,
        idle_timeout: 60s,
        max_lifetime: 3600s,
        application_name: "j 1",
        statement_cache_capacity: 0,
        sslmode: Some(
            VerifyFull,
        ),
        ssl_root_cert: Some(
            "/ca.pem",
        ),
        test_before_acquire: false,
        run_migrations_on_startup: false,
        ..
    }
    "#);
}

#[test]
fn keys_of_another_type_are_a_problem_that_says_so() {
    insta::assert_snapshot!(problems(&with("path = \"x\"\nurl = \"postgres://u:hunter2@h/d\"\n[storage_backend.pool]\nmax_connections = 5"), &[]), @r#"
    storage_backend.path (jwtlet.toml:12): has a meaning only with storage_backend.type = "sqlite"
    storage_backend.url (jwtlet.toml:13): has a meaning only with storage_backend.type = "postgres"
    storage_backend.pool.max_connections (jwtlet.toml:15): has a meaning only with storage_backend.type = "postgres"
    "#);
    let problems = |table: &str| problems(&with(table), &[]);
    assert!(problems("type = \"sqlite\"\nurl = \"postgres://u@h/d\"").contains("storage_backend.url"));
    assert!(
        problems(&format!("type = \"postgres\"\nurl = \"{URL}\"\npath = \"x\""))
            .contains("storage_backend.path")
    );
    assert!(
        problems("[storage_backend.pool]\nsslmode = \"require\"").contains("only with storage_backend.type")
    );
}

#[test]
fn values_out_of_range_are_all_listed() {
    let lines = "max_connections = 0\nmin_connections = -1\nacquire_timeout = \"0s\"\nidle_timeout = 5\n\
                 max_lifetime = \"25h\"\napplication_name = \"ä\"\nstatement_cache_capacity = 10001\n\
                 sslmode = \"allow\"\nssl_root_cert = \"\"\ntest_before_acquire = 1\n\
                 run_migrations_on_startup = \"yes\"";
    insta::assert_snapshot!(problems(&pool(lines), &[]), @r#"
    storage_backend.pool.max_connections = 0 (jwtlet.toml:15): must be a whole number from 1 to 10000
    storage_backend.pool.min_connections = -1 (jwtlet.toml:16): must be a whole number from 0 to 10000
    storage_backend.pool.acquire_timeout = "0s" (jwtlet.toml:17): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 300s
    storage_backend.pool.idle_timeout = 5 (jwtlet.toml:18): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 86400s
    storage_backend.pool.max_lifetime = "25h" (jwtlet.toml:19): must be a time with its unit, such as "5s" or "1m 30s", from 1s to 86400s
    storage_backend.pool.application_name = "ä" (jwtlet.toml:20): must be printable ASCII, at most 58 characters
    storage_backend.pool.statement_cache_capacity = 10001 (jwtlet.toml:21): must be a whole number from 0 to 10000
    storage_backend.pool.sslmode = "allow" (jwtlet.toml:22): must be one of disable, prefer, require, verify-ca, verify-full
    storage_backend.pool.ssl_root_cert = "" (jwtlet.toml:23): must not be empty
    storage_backend.pool.test_before_acquire = 1 (jwtlet.toml:24): must be true or false
    storage_backend.pool.run_migrations_on_startup = "yes" (jwtlet.toml:25): must be true or false
    "#);
    insta::assert_snapshot!(problems(&pool("max_connections = 3\nmin_connections = 4"), &[]), @"storage_backend.pool.min_connections (jwtlet.toml:16): must be at most max_connections, which is 3; it is 4");
    insta::assert_snapshot!(problems(&with("policy_cache_bytes = -1"), &[]), @"storage_backend.policy_cache_bytes = -1 (jwtlet.toml:12): must be a whole number from 0 to 68719476736");
}

#[test]
fn postgres_needs_a_url_that_is_one_and_is_never_repeated() {
    insta::assert_snapshot!(problems(&with("type = \"postgres\""), &[]), @"storage_backend.url: is missing; set it in the file or as JWTLET__STORAGE_BACKEND__URL");
    for url in [
        "mysql://jwtlet:hunter2@host/jwtlet",
        "hunter2",
        "postgres://jwtlet:hunter2@host",
        "postgres://hunter2@host:none/jwtlet",
        "postgresql:hunter2",
    ] {
        let problems = problems(&with(&format!("type = \"postgres\"\nurl = \"{url}\"")), &[]);
        assert!(problems.starts_with("storage_backend.url = (secret) (jwtlet.toml:13): must "), "{problems}");
        assert!(!problems.contains("hunter2") && problems.lines().count() == 1, "{problems}");
    }
    let variable = [("JWTLET__STORAGE_BACKEND__URL", URL), ("JWTLET__STORAGE_BACKEND__TYPE", "postgres")];
    let config = load(GOOD, &variable).unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("hunter2"));
}

#[test]
fn a_database_on_another_host_that_nothing_verifies_warns() {
    for (url, sslmode, warned) in [
        ("postgres://u:hunter2@db.example/d", "require", true),
        ("postgres://u:hunter2@db.example/d", "verify-full", false),
        ("postgres://u:hunter2@127.0.0.1/d", "disable", false),
    ] {
        let text =
            format!("type = \"postgres\"\nurl = \"{url}\"\n[storage_backend.pool]\nsslmode = \"{sslmode}\"");
        let warnings = loaded(&text).warnings;
        let about_it = warnings.iter().filter(|warning| warning.contains("storage_backend")).count();
        assert_eq!(about_it, usize::from(warned), "{warnings:?}");
        assert!(warnings.iter().all(|warning| !warning.contains("hunter2")));
    }
}

#[test]
fn what_the_example_shows_in_comments_is_the_default_or_accepted_too() {
    let example =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml")).unwrap();
    let (start, rest) = example.split_once("[storage_backend]").unwrap();
    let (table, rest) = rest.split_once("[k8s]").unwrap();
    let with = |kind: &str, prefixes: &[&str]| {
        let mut table = table.replace("type = \"memory\"", &format!("type = \"{kind}\""));
        for prefix in prefixes {
            table = table.replace(&format!("\n# {prefix}"), &format!("\n{prefix}"));
        }
        load(&format!("{start}[storage_backend]{table}[k8s]{rest}"), &[]).unwrap()
    };
    let config = with("sqlite", &["path = "]);
    assert!(matches!(config.storage.backend, Backend::Sqlite { path } if path.ends_with("jwtlet.db")));
    let keys = [
        "max_connections",
        "min_connections",
        "acquire_timeout",
        "idle_timeout",
        "max_lifetime",
        "application_name",
        "statement_cache_capacity",
        "sslmode",
        "ssl_root_cert",
        "test_before_acquire",
        "run_migrations_on_startup",
    ];
    let lines: Vec<String> = keys.iter().map(|key| format!("{key} = ")).collect();
    let mut prefixes = vec!["url = ", "[storage_backend.pool]"];
    prefixes.extend(lines.iter().map(|line| &**line));
    let config = with("postgres", &prefixes);
    assert_eq!(config.warnings, [""; 0]);
    let Backend::Postgres(mut shown) = config.storage.backend else { panic!() };
    assert!(shown.sslmode.take().is_some() && shown.ssl_root_cert.take().is_some());
    let Backend::Postgres(default) = load(&pool(""), &[]).unwrap().storage.backend else { panic!() };
    assert_eq!(format!("{shown:?}"), format!("{default:?}"));
}
