//! Standard output, which may be closed or full.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

/// Prints a text and tells the exit status: a reader who has seen enough is no failure, a full disk is.
#[must_use]
pub fn print(text: &str) -> ExitCode {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone as well; the status still tells.
            let _ = writeln!(std::io::stderr(), "cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
