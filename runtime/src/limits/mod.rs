//! The limits of a worker, and their enforcement.
//!
//! [`Limits`] has the settings. `watchdog` ends code that exceeds its CPU time or its deadline, and `memory` keeps a
//! worker within its memory limit; both refer to an isolate by the watchdog's `Watched`. [`OnNotice`] is called when a
//! worker is stopped. `cpu_clock` and `os_priority` are the watchdog's interfaces to the operating system. `sqlite`
//! makes SQLite end calls that the watchdog has ended, and `patience` does so for the loading of modules.

mod cpu_clock;
mod memory;
mod on_notice;
mod os_priority;
mod patience;
#[cfg(feature = "sql")]
mod sqlite;
mod watchdog;

use std::time::Duration;

use isopod_ext::quotas::Quotas;

use self::watchdog::CpuLimits;

pub(crate) use self::cpu_clock::Helpers;
pub(crate) use self::memory::{Gauge, capped_allocator, count_icu, handle_fatal_errors};
pub use self::memory::{MemoryMeter, give_back_memory};
pub use self::on_notice::{Noticed, OnNotice};
pub use self::os_priority::{OsScheduling, run_in_short_slices};
pub(crate) use self::patience::{Start, follow, has_to_stop};
#[cfg(feature = "sql")]
pub(crate) use self::sqlite::install as make_sqlite_stoppable;
pub use self::watchdog::Watchdog;
pub(crate) use self::watchdog::{Breach, Ended, Limit, Sampler, Soft, Watch};

/// The limits of a worker. Each has a default, and none can be disabled, only raised.
///
/// ```
/// # mod isopod { pub use isopod_runtime::Limits; }
/// use isopod::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::default().cpu(Duration::from_millis(50));
/// assert_eq!(limits.memory_bytes, 128 * 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// CPU time of an event, including its `waitUntil` work and excluding time spent waiting. Default: 10 s.
    pub cpu: Duration,
    /// CPU time after which the script is warned that an event approaches its limit, by a `softlimit` event on
    /// `globalThis` and by `ctx.signal`. Default: four fifths of `cpu`.
    pub cpu_soft: Option<Duration>,
    /// CPU time of starting a worker. Default: 5 s.
    pub boot_cpu: Duration,
    /// Memory in bytes: the heap, array buffers, WebAssembly memories, `Intl` objects, and data held for the worker outside of its
    /// isolate (bodies, messages, blobs). The script is warned at four fifths. Default: 128 MiB.
    /// A script with less than [`Limits::MEMORY_BYTES_MIN`] is not built.
    pub memory_bytes: usize,
    /// Size in bytes of the code cache that a script version's workers share. Default: 32 MiB.
    pub code_cache_bytes: usize,
    /// Size in bytes of the module cache that a script version's workers share. Default: 64 MiB.
    pub module_cache_bytes: usize,
    /// Limits on countable resources: timers, subrequests, log lines and others. Default: [`Quotas::default`].
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
    /// Minimum memory limit, with which the web platform can start and report that memory is full: 16 MiB.
    pub const MEMORY_BYTES_MIN: usize = 16 * 1024 * 1024;

    pub(crate) fn cpu_limits(&self) -> CpuLimits {
        CpuLimits {
            event: self.cpu,
            soft: self.cpu_soft.unwrap_or(self.cpu / 5 * 4),
            boot: self.boot_cpu,
        }
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
