//! The settings of a PostgreSQL database.

use secrecy::SecretString;

/// Which database, and how to connect.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// The connection URL, password included.
    pub url: SecretString,
}
