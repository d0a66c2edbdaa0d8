//! A process of this program in another role: it says one line when it is ready, and one for each line it is told.
//!
//! It ends when its standard input does, so none outlives a benchmark that is interrupted.

use std::process::Stdio;

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, stdin},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::error::BenchError;

/// The side that started it.
pub(crate) struct Helper {
    role: &'static str,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts this program with these arguments and waits for its first line.
    pub(crate) async fn start<T: DeserializeOwned>(
        role: &'static str,
        arguments: &[String],
    ) -> Result<(Self, T), BenchError> {
        let spawn_failed = |cause| BenchError::Spawn(role, cause);
        let program = std::env::current_exe().map_err(spawn_failed)?;
        let mut child = Command::new(program)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn_failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Mute(role));
        };
        let mut helper = Self { role, child, input, output: BufReader::new(output).lines() };
        let first = helper.read().await?;
        Ok((helper, first))
    }

    /// Says a line and waits for the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, line: &str) -> Result<T, BenchError> {
        let told = self.input.write_all(format!("{line}\n").as_bytes()).await;
        told.map_err(|_| BenchError::Mute(self.role))?;
        self.read().await
    }

    /// The id of the process.
    pub(crate) fn process_id(&self) -> Result<u32, BenchError> {
        self.child.id().ok_or(BenchError::Mute(self.role))
    }

    async fn read<T: DeserializeOwned>(&mut self) -> Result<T, BenchError> {
        let line = self.output.next_line().await.ok().flatten().ok_or(BenchError::Mute(self.role))?;
        serde_json::from_str(&line).map_err(|cause| BenchError::Garbled(self.role, cause))
    }
}

/// Says a line to the side that started this process.
pub(crate) fn tell(message: &impl Serialize) -> Result<(), BenchError> {
    let line = serde_json::to_string(message).map_err(|cause| BenchError::Garbled("this process", cause))?;
    println!("{line}");
    Ok(())
}

/// The lines told to this process.
pub(crate) fn told() -> Lines<BufReader<Stdin>> {
    BufReader::new(stdin()).lines()
}
