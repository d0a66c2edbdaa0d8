//! The rules of single values. Each takes a text and gives the value or the rule, worded to follow the key.

use std::{fmt::Display, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use jwtlet_core::{
    Audience, ClientIdentifier, mapping::ClaimRules, role::Role, service_account::ServiceAccount,
};
use jwtlet_store::PostgresSettings;
use reqwest::Url;
use secrecy::SecretString;

use super::{LogFormat, reader::Rule, storage::StorageType};

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A type that knows its own rule.
pub(super) fn from_str<T: FromStr<Err: Display>>(text: &str) -> Result<T, Rule> {
    text.parse().map_err(|rule: T::Err| rule.to_string())
}

pub(super) fn audience(text: &str) -> Result<Audience, Rule> {
    Audience::parse(text).map_err(|rule| rule.to_string())
}

pub(super) fn path(text: &str) -> Result<PathBuf, Rule> {
    if text.contains('\0') { Err("must be a path".into()) } else { Ok(text.into()) }
}

pub(super) fn ip_address(text: &str) -> Result<IpAddr, Rule> {
    text.parse().map_err(|_| "must be an IPv4 or IPv6 address, such as 0.0.0.0 or ::".into())
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Rule> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".into()),
    }
}

pub(super) fn storage_type(text: &str) -> Result<StorageType, Rule> {
    match text {
        "memory" => Ok(StorageType::Memory),
        "sqlite" => Ok(StorageType::Sqlite),
        "postgres" => Ok(StorageType::Postgres),
        _ => Err("must be memory, sqlite or postgres".into()),
    }
}

pub(super) fn postgres_url(text: &str) -> Result<PostgresSettings, Rule> {
    PostgresSettings::new(SecretString::from(text)).map_err(|rule| rule.to_string())
}

/// PostgreSQL cuts a longer name, and shows what is not printable ASCII as a question mark.
pub(super) fn application_name(text: &str) -> Result<String, Rule> {
    if text.len() <= 58 && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(text.to_owned())
    } else {
        Err("must be printable ASCII, at most 58 characters".into())
    }
}

pub(super) fn vault_token(text: &str) -> Result<String, Rule> {
    jwtlet_vault::check_token(text).map_err(|rule| rule.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn vault_role(text: &str) -> Result<String, Rule> {
    let good = text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good {
        Ok(text.to_owned())
    } else {
        Err("must be letters, digits, '_', '-' and '.', at most 256".into())
    }
}

pub(super) fn participant_context_claim(text: &str) -> Result<String, Rule> {
    match ClaimRules::new(text.to_owned(), [].into()) {
        Ok(_) => Ok(text.to_owned()),
        Err(rule) => Err(rule.to_string()),
    }
}

pub(super) fn role_holder(name: &str, service_accounts_only: bool) -> Result<ClientIdentifier, Rule> {
    if service_accounts_only {
        from_str::<ServiceAccount>(name).map_err(|rule| format!("the name {rule}"))?;
    }
    ClientIdentifier::parse(name).map_err(|rule| format!("the name {rule}"))
}

pub(super) fn roles(names: &[String]) -> Result<Vec<Role>, Rule> {
    names.iter().map(|name| from_str(name).map_err(|rule: Rule| format!("each role {rule}"))).collect()
}

pub(super) fn plain_text(text: &str) -> Result<String, Rule> {
    if text.contains(char::is_control) {
        Err("must not contain control characters".into())
    } else {
        Ok(text.to_owned())
    }
}

/// A base URL: the parts that a client would append to are not there.
pub(super) fn http_url(text: &str) -> Result<String, Rule> {
    let rule = || "must be an http or https URL without user, query and fragment".to_owned();
    // The parser mends what it can; what is sent and compared is the text.
    let lower = text.to_ascii_lowercase();
    let is_literal = lower.starts_with("http://") || lower.starts_with("https://");
    if !is_literal || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(rule());
    }
    let url = Url::parse(text).map_err(|_| rule())?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !bare {
        return Err(rule());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Tokens carry the issuer byte for byte (RFC 8414 §2), so it is kept as written.
pub(super) fn issuer(text: &str) -> Result<String, Rule> {
    http_url(text).map(|_| text.to_owned())
}

pub(super) fn kubernetes_url(text: &str) -> Result<String, Rule> {
    let url = http_url(text)?;
    if is_plain_remote(&url) {
        Err("must be https, except on loopback: jwtlet's own token travels there".into())
    } else {
        Ok(url)
    }
}

/// Whether the URL sends secrets in clear text to another host.
pub(super) fn is_plain_remote(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return true };
    let is_loopback = url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    url.scheme() == "http" && !is_loopback
}
