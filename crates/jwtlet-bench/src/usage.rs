//! What processes use, from `/proc`.

use std::{fs, time::Duration};

use crate::error::BenchError;

/// `USER_HZ`: Linux reports times in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process with all its threads.
pub(crate) fn cpu_time(process: u32) -> Result<Duration, BenchError> {
    let stat = read("stat", process)?;
    process_ticks(&stat).map(ticks).ok_or(BenchError::ProcForm("stat", process))
}

/// The memory that a process has in RAM.
pub(crate) fn resident_mib(process: u32) -> Result<f64, BenchError> {
    let status = read("status", process)?;
    resident_kib(&status).map(|kib| kib / 1024.0).ok_or(BenchError::ProcForm("status", process))
}

/// What all CPUs together spent on anything; zero where the system does not tell.
pub(crate) fn machine_time() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    machine_ticks(&stat).map(ticks).unwrap_or_default()
}

fn read(file: &'static str, process: u32) -> Result<String, BenchError> {
    fs::read_to_string(format!("/proc/{process}/{file}"))
        .map_err(|cause| BenchError::Proc(file, process, cause))
}

fn ticks(count: u32) -> Duration {
    TICK.saturating_mul(count)
}

/// Fields 14 and 15 of `/proc/PID/stat`. The name in field 2 may hold anything, also parentheses and spaces.
fn process_ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

fn resident_kib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The first line of `/proc/stat` without idle, waiting and what other machines on this host took.
fn machine_ticks(stat: &str) -> Option<u32> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u32> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq
    [0, 1, 2, 5, 6].into_iter().map(|index| fields.get(index).copied()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_look_like_fields() {
        let stat = "7 (a) R 1 (b) S 1 7 7 0 -1 4194304 95 0 0 0 1234 66 0 0 20 0 4 0 100 1 2";
        assert_eq!(process_ticks(stat), Some(1300));
    }

    #[test]
    fn resident_memory_is_read_in_kibibytes() {
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t   2048 kB\nRssAnon:\t 5 kB\n"), Some(2048.0));
    }

    #[test]
    fn idle_and_waiting_times_are_not_work() {
        assert_eq!(machine_ticks("cpu  1 2 3 1000 1000 4 5 1000 0 0\ncpu0 1"), Some(15));
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(resident_mib(std::process::id()).unwrap() > 0.1);
        assert!(cpu_time(std::process::id()).is_ok());
    }
}
