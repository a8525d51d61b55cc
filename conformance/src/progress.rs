//! Progress of a run, on standard error.
#![expect(clippy::print_stderr, reason = "a program")]

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// The time between two lines where standard error is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// The progress of one runtime.
pub(crate) struct Progress {
    runtime: String,
    ended: usize,
    all: usize,
    told: Instant,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(runtime: &str, all: usize) -> Self {
        Self {
            runtime: runtime.to_owned(),
            ended: 0,
            all,
            told: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Counts a test, and tells of it if it failed as a whole.
    pub(crate) fn ended(&mut self, test: &str, error: Option<&str>) {
        self.ended += 1;
        let (start, end) = if self.is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        if let Some(error) = error {
            let first = error.lines().next().unwrap_or_default();
            eprintln!("{start}{}: {test}: {first}", self.runtime);
        }
        let is_last = self.ended == self.all;
        if is_last || self.is_terminal || self.told.elapsed() >= INTERVAL {
            self.told = Instant::now();
            let end = if is_last { "\n" } else { end };
            eprint!("{start}{}: {} of {} tests{end}", self.runtime, self.ended, self.all);
        }
    }
}
