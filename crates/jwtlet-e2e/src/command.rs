//! Commands of the environment, run by a shell.

use std::process::Stdio;

use tokio::process;

use crate::failure::Failure;

/// A line for `sh`.
pub(crate) struct Command {
    /// The variable that has it, for messages.
    pub(crate) variable: &'static str,
    /// The line itself.
    pub(crate) line: String,
}

impl Command {
    /// Runs it to its end and gives what it printed, without white space around it.
    pub(crate) async fn run(&self) -> Result<String, Failure> {
        let mut shell = process::Command::new("sh");
        shell.args(["-c", &self.line]).stdin(Stdio::null()).kill_on_drop(true);
        let output = shell.output().await.map_err(|cause| Failure::Run { variable: self.variable, cause })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Failure::Command { variable: self.variable, status: output.status, message })
    }
}
