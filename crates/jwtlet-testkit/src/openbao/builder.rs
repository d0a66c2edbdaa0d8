//! Settings of an [`OpenBao`] before it starts.

use super::process::{Process, Settings, binary};
use super::{OpenBao, OpenBaoError};

/// How often to try again when another process takes the port.
const ATTEMPTS: u32 = 5;

/// Settings of an [`OpenBao`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing runs until `start`"]
pub struct OpenBaoBuilder {
    settings: Settings,
}

impl OpenBaoBuilder {
    /// Keeps all state on disk, so that it outlives the process. It goes with the handle.
    pub fn on_disk(mut self) -> Self {
        self.settings.on_disk = true;
        self
    }

    /// Refuses requests with more JSON strings than this, names of members included, with status 400; 1000 is usual.
    pub fn max_request_json_strings(mut self, strings: u32) -> Self {
        self.settings.max_request_json_strings = Some(strings);
        self
    }

    /// Refuses requests with a longer body than this, in bytes, with status 413; 32 MiB is usual.
    pub fn max_request_size(mut self, bytes: u32) -> Self {
        self.settings.max_request_size = Some(bytes);
        self
    }

    /// Starts a server on a free loopback port, with a transit engine at `transit`.
    ///
    /// # Errors
    /// [`OpenBaoError`] if the binary is missing or does not come up.
    pub async fn start(self) -> Result<OpenBao, OpenBaoError> {
        let binary = binary();
        if !binary.is_file() {
            return Err(OpenBaoError::NotInstalled(binary));
        }
        let mut attempt = 1;
        loop {
            let process = Process::launch(&binary, &self.settings).map_err(OpenBaoError::Start)?;
            match OpenBao::initialize(process).await {
                Err(OpenBaoError::NotHealthy(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }
}
