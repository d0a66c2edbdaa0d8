//! The database of a row.

use jwtlet_testkit::Postgres;

use crate::{error::BenchError, scenario::Storage};

/// Where the server keeps its policy. A PostgreSQL ends when this is dropped.
pub(crate) enum Database {
    Memory,
    Sqlite,
    Postgres { server: Box<Postgres>, url: String, others: u32 },
}

impl Database {
    pub(crate) async fn start(storage: Storage) -> Result<Self, BenchError> {
        Ok(match storage {
            Storage::Memory => Self::Memory,
            Storage::Sqlite => Self::Sqlite,
            Storage::Postgres { others } => {
                let server = Box::new(Postgres::start_durable().await?);
                let url = server.database().await?;
                Self::Postgres { server, url, others }
            }
        })
    }

    /// Adds the mappings of others, once the server has made its tables.
    pub(crate) async fn fill(&self) -> Result<(), BenchError> {
        match self {
            Self::Postgres { server, url, others } if *others > 0 => {
                Ok(server.seed_mappings(url, *others).await?)
            }
            _ => Ok(()),
        }
    }

    /// Lines for the table `[storage_backend]`.
    pub(crate) fn lines(&self, files: &std::path::Path) -> String {
        match self {
            Self::Memory => "type = \"memory\"".to_owned(),
            Self::Sqlite => format!("type = \"sqlite\"\npath = \"{}/jwtlet.db\"", files.display()),
            Self::Postgres { url, .. } => format!("type = \"postgres\"\nurl = \"{url}\""),
        }
    }
}
