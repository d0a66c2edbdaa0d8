//! `jwtlet`: the administration command.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    jwtlet_cli::run_command_line().await
}
