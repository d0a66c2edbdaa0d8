//! What the operating system says about this process, where there is a `/proc`.

use std::{fs, sync::OnceLock};

use rustix::param::{clock_ticks_per_second, page_size};

/// The process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) started_at: f64,
    pub(super) open_descriptors: u64,
    pub(super) max_descriptors: u64,
}

impl Process {
    /// `None` where the operating system does not tell.
    pub(super) fn now() -> Option<Self> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "ticks since the start of a machine are far below 2^52"
        )]
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: seconds(stat.cpu_ticks),
            resident_bytes: stat.resident_pages * page_size() as u64,
            virtual_bytes: stat.virtual_bytes,
            threads: stat.threads,
            started_at: booted_at()? + seconds(stat.start_ticks),
            open_descriptors: fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64,
            max_descriptors: max_descriptors(&fs::read_to_string("/proc/self/limits").ok()?)?,
        })
    }
}

/// The parts of `/proc/self/stat` that matter (`proc_pid_stat(5)`).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program comes second, in parentheses, and may hold anything, parentheses too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |place: usize| fields.get(place - 3)?.parse().ok();
        let (user, system): (u64, u64) = (number(14)?, number(15)?);
        Some(Self {
            cpu_ticks: user + system,
            threads: number(20)?,
            start_ticks: number(22)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }
}

fn max_descriptors(limits: &str) -> Option<u64> {
    let soft =
        limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// When the machine started, in seconds since 1970.
fn booted_at() -> Option<f64> {
    static BOOTED_AT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOTED_AT.get_or_init(|| {
        let text = fs::read_to_string("/proc/stat").ok()?;
        text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_does_not_confuse() {
        let text = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 500 70 0 0 20 0 9 0 1234 4096000 77 0";
        let expected = Stat {
            cpu_ticks: 570,
            threads: 9,
            start_ticks: 1234,
            virtual_bytes: 4_096_000,
            resident_pages: 77,
        };
        assert_eq!(Stat::parse(text), Some(expected));
    }

    #[test]
    fn the_soft_limit_counts() {
        assert_eq!(
            max_descriptors("Max open files            1024                 4096   files\n"),
            Some(1024)
        );
        assert_eq!(max_descriptors("Max processes 7 7 processes\n"), None);
    }
}
