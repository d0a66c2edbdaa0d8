use std::{ffi::OsString, path::Path};

use jwtlet_server::Config;
use toml::de::DeTable;

/// The part of a secret that tells it from everything else in a file.
const MARK: &str = "S3CR3T";

/// A configuration file; lines that begin with `JWTLET__` are variables.
///
/// What is accepted has ports that differ and a token life in its range. What is refused has a problem. In neither case
/// is the Vault token shown, nor the password in the URL of the database.
///
/// # Panics
/// Where that does not hold.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (variables, file): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("JWTLET__"));
    let variables: Vec<(OsString, OsString)> = variables
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().into(), value.trim().into()))
        .collect();
    let shown = match Config::parse(Path::new("file.toml"), &file.join("\n"), &variables) {
        Ok(config) => {
            let (exchange, management) = (config.token_exchange_port, config.management_port);
            assert!(exchange != management || exchange == 0);
            assert!((1..=86_400).contains(&config.token.ttl_secs));
            format!("{config:?}")
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            format!("{error} {error:?}")
        }
    };
    assert!(!is_secret(&file.join("\n"), &variables) || !shown.contains(MARK), "{shown}");
}

/// Whether the mark is in the input once, and there in a secret, or in a file that is not TOML: a line of it may hold one.
fn is_secret(file: &str, variables: &[(OsString, OsString)]) -> bool {
    let in_names = variables.iter().any(|(name, _)| name.to_string_lossy().contains(MARK));
    let in_values: Vec<_> =
        variables.iter().filter(|(_, value)| value.to_string_lossy().contains(MARK)).collect();
    match (file.matches(MARK).count(), &in_values[..]) {
        _ if in_names => false,
        (0, [(name, value)]) => name == "JWTLET__VAULT__TOKEN" && value == MARK,
        (1, []) => DeTable::parse(file).map_or(true, |table| {
            let text = |table_name: &str, key: &str| {
                let value = table.get_ref().get(table_name)?.get_ref().get(key)?.get_ref();
                value.as_str().map(str::to_owned)
            };
            text("vault", "token").is_some_and(|token| token == MARK)
                || text("storage_backend", "url").is_some_and(|url| url.contains(&format!(":{MARK}@")))
        }),
        _ => false,
    }
}
