//! What the system tells of a process, and waiting until something is so.

use std::time::{Duration, Instant};

/// How long any condition of these tests may take. Generous: it is reached by failures only.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `found` gives something. Panics with `what` when it never does.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        // tidy:allow(sleep): between two looks at a condition that another process brings about and cannot tell of
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A number of KiB in `/proc/PID/status`, as bytes.
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

/// The most memory that was ever resident.
pub(crate) fn resident_bytes_peak(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

/// How many threads of this process have names that begin so. The system keeps the first 15 bytes of a name.
pub(crate) fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    // A thread may end between being listed and being read.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}
