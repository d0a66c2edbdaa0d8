//! What is shown while it runs: a bar on a terminal, one line for each measurement everywhere.

use indicatif::{ProgressBar, ProgressStyle};

/// The way through all measurements. Each has a weight: its seconds, or its exchanges.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: usize,
    done: usize,
}

impl Progress {
    /// Begins; hidden where standard error is no terminal.
    pub(crate) fn new(measurements: usize, weight: u64) -> Self {
        let bar = ProgressBar::new(weight.max(1));
        // The default style stays if this one were malformed.
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {percent:>3} %  {elapsed} of about {duration}  {msg}")
        {
            bar.set_style(style);
        }
        Self { bar, total: measurements, done: 0 }
    }

    /// A measurement begins.
    pub(crate) fn begin(&self, name: &str) {
        self.bar.set_message(name.to_owned());
    }

    /// It ended; `outcome` says how.
    pub(crate) fn end(&mut self, name: &str, weight: u64, outcome: &str) {
        self.done += 1;
        let (done, total) = (self.done, self.total);
        self.bar.suspend(|| eprintln!("{done}/{total} {name}: {outcome}"));
        self.bar.inc(weight);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
