//! What can be wrong: with the way the tests are started, with the world around jwtlet, and with jwtlet.

use std::process::ExitStatus;

use reqwest::StatusCode;

/// Why a test, or all of them, failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The environment lacks something.
    #[error("the variable {0} is not set: e2e/README.md says what each of them means")]
    NoVariable(&'static str),
    /// A command cannot be started.
    #[error("the command of {variable} cannot be run")]
    Run {
        /// The variable that has it.
        variable: &'static str,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A command failed. What it printed is not shown: it may be a token.
    #[error("the command of {variable} ended with {status}: {message}")]
    Command {
        /// The variable that has it.
        variable: &'static str,
        /// How.
        status: ExitStatus,
        /// What it said on standard error.
        message: String,
    },
    /// The HTTP client or a call failed.
    #[error("the call failed")]
    Http(#[from] reqwest::Error),
    /// Another answer than expected.
    #[error("{what}: {status}, not {expected}: {body}")]
    Answer {
        /// What was asked.
        what: String,
        /// The status.
        status: StatusCode,
        /// What was expected.
        expected: &'static str,
        /// The body.
        body: String,
    },
    /// A token is not what a verifier accepts.
    #[error("the issued token cannot be verified")]
    Verify(#[from] jsonwebtoken::errors::Error),
    /// Something else does not hold.
    #[error("{0}")]
    Broken(String),
    /// Something did not come to hold.
    #[error("{what} within {seconds} s; last: {last}")]
    Patience {
        /// What.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// What was seen last.
        last: String,
    },
}

/// A failure unless this holds.
pub(crate) fn ensure(holds: bool, broken: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Broken(broken())) }
}
