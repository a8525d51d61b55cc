//! Reads a process's state from the system, and waits for conditions.

use std::time::{Duration, Instant};

/// Time limit for any condition in these tests. Generous, because only failures reach it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `found` returns a value. Panics with `what` after [`PATIENCE`].
#[track_caller]
pub(crate) fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, found)
}

/// Waits until `found` returns a value. Panics with `what` at the limit.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, found: impl FnMut() -> Option<T>) -> T {
    eventually(limit, found).unwrap_or_else(|| panic!("waited {limit:?} in vain: {what}"))
}

/// Waits until `found` returns a value, or the limit is reached.
pub(crate) fn eventually<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = found();
        if found.is_some() || start.elapsed() > limit {
            return found;
        }
        // tidy:allow(sleep): between two checks of a condition in another process, which cannot signal it
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A field in KiB of `/proc/PID/status`, as bytes.
fn status_bytes(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that lives");
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .expect("a field of that name");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number");
    kib * 1024
}

/// Resident memory now.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// Peak resident memory.
pub(crate) fn resident_bytes_peak(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

/// The number of this process's threads with this name prefix. The system keeps the first 15 bytes of a name.
pub(crate) fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    // A thread may end between being listed and being read.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

/// Resources that a process has to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

impl Footprint {
    pub(crate) fn of(pid: u32) -> Self {
        let count = |what| {
            let entries = std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("a process that lives");
            entries.count()
        };
        Self {
            threads: count("task"),
            descriptors: count("fd"),
        }
    }

    /// The footprint of a process, once it has been stable for a while.
    #[track_caller]
    pub(crate) fn at_rest(pid: u32) -> Self {
        let mut seen = (Self::of(pid), 0);
        until("the process comes to rest", || {
            let now = Self::of(pid);
            seen = if now == seen.0 { (now, seen.1 + 1) } else { (now, 0) };
            (seen.1 == 50).then_some(now)
        })
    }
}
