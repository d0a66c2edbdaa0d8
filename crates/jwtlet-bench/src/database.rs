//! The database of a row.

use jwtlet_testkit::Postgres;

use crate::{error::BenchError, scenario::Storage};

/// Where the server keeps its policy. A PostgreSQL ends when this is dropped.
pub(crate) enum Database {
    Memory,
    Sqlite,
    Postgres { server: Box<Postgres>, url: String },
}

impl Database {
    pub(crate) async fn start(storage: Storage) -> Result<Self, BenchError> {
        Ok(match storage {
            Storage::Memory => Self::Memory,
            Storage::Sqlite => Self::Sqlite,
            Storage::Postgres => {
                let server = Box::new(Postgres::start_durable().await?);
                let url = server.database().await?;
                Self::Postgres { server, url }
            }
        })
    }

    /// Adds the mappings of others behind the server's back, which has made its tables. How many are left for it to
    /// take itself: all, unless the database can take them faster.
    pub(crate) async fn fill(&self, others: u32) -> Result<u32, BenchError> {
        let Self::Postgres { server, url } = self else {
            return Ok(others);
        };
        if others > 0 {
            server.seed_mappings(url, others).await?;
        }
        Ok(0)
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
