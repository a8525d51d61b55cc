//! Memory of the process: measures it, and returns memory that workers no longer need to the operating system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use isopod::{PoolEvent, give_back_memory};

/// Delay after the end of a worker, since several may end together.
const SETTLES: Duration = Duration::from_millis(500);

/// Minimum time between two returns of memory.
const PAUSE: Duration = Duration::from_secs(5);

/// Minimum time after a return that freed little memory.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Growth since startup above which a return is worth its cost.
const WORTH_BYTES: u64 = 64 << 20;

/// Returns the resident memory of the process in bytes, or `None` if unknown.
pub(super) fn resident_bytes() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Returns memory to the operating system after workers have ended, if the process has grown much. The allocator would keep
/// it: an isolate's `Intl` objects are not in V8's own memory.
pub(super) struct Returns {
    ended: SyncSender<()>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Returns {
    pub(super) fn start() -> std::io::Result<Self> {
        let (ended, ended_receiver) = sync_channel(1);
        let stops = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("isopod-memory".into());
        let stopped = Arc::clone(&stops);
        let thread = thread.spawn(move || give_back_after(&ended_receiver, &stopped))?;
        Ok(Self {
            ended,
            stops,
            thread: Some(thread),
        })
    }

    /// Returns an observer that reports the end of workers.
    pub(super) fn observer(&self) -> impl Fn(&PoolEvent) + Send + Sync + 'static {
        let ended = self.ended.clone();
        move |event| {
            use PoolEvent::{BootFailed, ThreadReturned, WorkerRetired};
            if matches!(event, WorkerRetired { .. } | BootFailed { .. } | ThreadReturned { .. }) {
                // One pending notification is enough.
                let _ = ended.try_send(());
            }
        }
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        let _ = self.ended.try_send(());
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn give_back_after(ended: &Receiver<()>, stops: &AtomicBool) {
    let at_start = resident_bytes().unwrap_or_default();
    let mut apart = PAUSE;
    let pause = |time| {
        std::thread::park_timeout(time);
        !stops.load(Ordering::SeqCst)
    };
    while ended.recv().is_ok() && pause(SETTLES) {
        let Some(before) = resident_bytes() else { return };
        if before < at_start + WORTH_BYTES {
            continue;
        }
        give_back_memory();
        let after = resident_bytes().unwrap_or(before);
        tracing::debug!(target: "isopod", before, after, "returned memory to the operating system");
        // If nothing was returned, all memory is in use, and there is no hurry to try again.
        let was_worth_it = before.saturating_sub(after) >= WORTH_BYTES;
        apart = if was_worth_it {
            PAUSE
        } else {
            (apart * 2).min(PAUSE_MAX)
        };
        if !pause(apart) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read_from_the_status_file() {
        // The format is described in proc_pid_status(5).
        assert_eq!(
            parse("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t   812 kB\n"),
            Some(812 * 1024)
        );
        assert_eq!(parse("VmRSS: many"), None);
        #[cfg(target_os = "linux")]
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
