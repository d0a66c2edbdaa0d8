//! One run of the release server under callgrind, valgrind's counter of instructions.
//!
//! The count is that of the whole process from start to end; what an exchange costs is the difference between two runs.
//! So each run does the same but for the number of rounds, and what could differ by chance is pinned: one worker thread,
//! neighbours that answer after the server has come to rest, reviews that stay cached, and no limit of time that a slow
//! machine could reach.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use super::{Figure, rounds::Rounds};
use crate::{
    catalog,
    error::BenchError,
    measure::requests,
    scenario::{Scenario, Setup, Subject, Tuning},
    world::World,
};

/// How long the server may take to become ready or to end.
const PATIENCE: Duration = Duration::from_mins(2);

/// Lets the C library copy memory in loops at any length. Otherwise it copies what is large with one instruction of the
/// processor, which is counted once for each byte.
const TUNABLES: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824";

/// What `valgrind --version` says.
pub(super) async fn version() -> Result<String, BenchError> {
    let output = Command::new("valgrind").arg("--version").output().await;
    let output = output.map_err(|cause| BenchError::Spawn("valgrind", cause))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Counts the instructions of a server that answers so many rounds of exchanges. The profile is written to `output`.
pub(super) async fn count(
    binary: &Path,
    output: &Path,
    figure: &Figure,
    rounds: u32,
) -> Result<u64, BenchError> {
    let connections = usize::from(figure.connections);
    let scenario =
        Scenario { connections, clients: connections, tokens: connections, ..catalog::reference() };
    let Subject::Server(setup) = scenario.subject else {
        return Err(BenchError::Nothing);
    };
    let setup = Setup { latency_ms: figure.latency_ms, tuning: Tuning::Profiled, ..setup };
    let world = World::start(&scenario, &setup, command(binary, output), PATIENCE).await?;
    let requests = requests(&scenario, world.server.exchange, &world.fakes.neighbours);
    let answered = Rounds::open(&world.server, requests.bytes).await?.run(rounds).await;
    answered.inspect_err(|_| eprint!("{}", world.server.log()))?;
    world.server.terminate(PATIENCE).await?;
    total(output)
}

fn command(binary: &Path, output: &Path) -> Command {
    let mut command = Command::new("valgrind");
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(output);
    command.args(["--quiet", "--tool=callgrind"]).arg(file).arg(binary);
    command.env("TOKIO_WORKER_THREADS", "1").env("GLIBC_TUNABLES", TUNABLES);
    command
}

/// The sum that callgrind writes at the end of its file.
fn total(output: &Path) -> Result<u64, BenchError> {
    let text = fs::read(output).map_err(|cause| BenchError::File("read what callgrind counted", cause))?;
    parse_total(&String::from_utf8_lossy(&text)).ok_or_else(|| BenchError::NoCount(PathBuf::from(output)))
}

fn parse_total(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line_of_its_name() {
        assert_eq!(parse_total("events: Ir\nfn=(1) main\n1 20\n\ntotals: 81234567\n"), Some(81_234_567));
        assert_eq!(parse_total("events: Ir\n"), None);
    }
}
