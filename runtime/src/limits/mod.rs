//! The limits of a worker, and what enforces them.
//!
//! [`Limits`] has the settings. `watchdog` ends code that exceeds its CPU time or its deadline, and `memory` keeps a worker
//! within its memory; both know an isolate by the watchdog's `Watched`. [`OnStop`] is called when a worker is told to stop.
//! `cpu_clock` and `os_priority` are what the watchdog uses of the operating system.

mod cpu_clock;
mod memory;
mod on_stop;
mod os_priority;
mod watchdog;

use std::time::Duration;

use isopod_ext::quotas::Quotas;

use self::watchdog::CpuLimits;

pub(crate) use self::cpu_clock::Helpers;
pub(crate) use self::memory::{Gauge, capped_allocator};
pub use self::memory::{MemoryMeter, give_back_memory};
pub use self::on_stop::OnStop;
pub use self::os_priority::{OsScheduling, run_in_short_slices};
pub use self::watchdog::Watchdog;
pub(crate) use self::watchdog::{Breach, Ended, Limit, Sampler, Soft, Watch};

/// The limits of one worker. Every one has a default; none can be switched off, only raised.
///
/// ```
/// # mod isopod { pub use isopod_runtime::Limits; }
/// use isopod::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default().cpu(Duration::from_millis(50));
/// assert_eq!(limits.memory_bytes, 128 * 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// CPU time of one event in all, its `waitUntil` work included. Time spent waiting is not counted. Default: 10 s.
    pub cpu: Duration,
    /// CPU time after which the script is told that an event is near its limit: by a `softlimit` event on `globalThis`, and
    /// by `ctx.signal`. Default: four fifths of `cpu`.
    pub cpu_soft: Option<Duration>,
    /// CPU time of one start in all. Default: 5 s.
    pub boot_cpu: Duration,
    /// Memory in bytes, all in one: the heap, array buffers, WebAssembly memories, and what is held for the worker outside its
    /// isolate (bodies, messages, blobs). At least [`Limits::MEMORY_BYTES_MIN`] is given. The script is told at four fifths
    /// of it. Default: 128 MiB.
    pub memory_bytes: usize,
    /// Compiled code kept for the workers that follow, a script version, in bytes. Default: 32 MiB.
    pub code_cache_bytes: usize,
    /// Source of modules kept for the workers that follow, a script version, in bytes. Default: 64 MiB.
    pub module_cache_bytes: usize,
    /// Everything that can be counted: timers, sub-requests, log lines and so on. Default: [`Quotas::default`].
    pub quotas: Quotas,
}

isopod_ext::setters!(Limits {
    cpu: Duration,
    cpu_soft: impl Into<Option<Duration>>,
    boot_cpu: Duration,
    memory_bytes: usize,
    code_cache_bytes: usize,
    module_cache_bytes: usize,
    quotas: Quotas,
});

impl Limits {
    /// The least that holds the web platform with room to report that it is full: 16 MiB.
    pub const MEMORY_BYTES_MIN: usize = 16 * 1024 * 1024;

    pub(crate) fn cpu_limits(&self) -> CpuLimits {
        CpuLimits {
            event: self.cpu,
            soft: self.cpu_soft.unwrap_or(self.cpu / 5 * 4),
            boot: self.boot_cpu,
        }
    }

    pub(crate) fn enforced_memory_bytes(&self) -> usize {
        self.memory_bytes.max(Self::MEMORY_BYTES_MIN)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(10),
            cpu_soft: None,
            boot_cpu: Duration::from_secs(5),
            memory_bytes: 128 * 1024 * 1024,
            code_cache_bytes: 32 * 1024 * 1024,
            module_cache_bytes: 64 * 1024 * 1024,
            quotas: Quotas::default(),
        }
    }
}
