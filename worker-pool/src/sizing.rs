//! The size of a pool: its number of threads, and the memory of its workers.
//!
//! A worker occupies a thread as long as it lives, also while it waits. The maximum number of threads therefore follows from
//! memory. The number of processors determines the initial threads, a script's default number of workers, and the number of
//! concurrent boots.

use crate::build_error::BuildError;
use crate::machine;
use crate::overload::Budget;

/// Divisor of the machine's memory for the default budget of workers. The rest is for the program, bodies in transit, and
/// the page cache.
const MEMORY_SHARE: usize = 2;

/// Memory per worker that determines the default number of workers: about that of a small idle worker.
const WORKER_BYTES: usize = 4 << 20;

/// Minimum and maximum of the default number of workers. Linux allows a process 65,530 memory mappings, and a worker has a
/// few dozen at most.
const WORKERS_FEW: usize = 8;
const WORKERS_MANY: usize = 2000;

/// Divisor of the task limit of the process's control groups, because a worker may use further threads for its I/O.
const TASKS_SHARE: u64 = 4;

/// The resources of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) tasks_max: Option<u64>,
}

impl Machine {
    pub(crate) fn detect() -> Self {
        Self {
            processors: machine::processors(),
            memory_bytes: machine::memory_bytes(),
            tasks_max: machine::tasks_max(),
        }
    }
}

/// The configured settings that determine the size.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SizeSettings {
    pub(crate) threads: Option<usize>,
    pub(crate) threads_max: Option<usize>,
    pub(crate) workers_max: Option<usize>,
    pub(crate) memory_bytes_max: Option<usize>,
}

/// The resulting size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Number of threads started at once and kept.
    pub(crate) threads: usize,
    /// Maximum number of threads, and so of workers.
    pub(crate) threads_max: usize,
    /// The number of threads was configured, and not derived from memory.
    pub(crate) threads_are_set: bool,
    /// Default maximum number of workers of a script, and the total for computing shares.
    pub(crate) script_workers_max: usize,
    /// Maximum number of boots at a time.
    pub(crate) boots_max: usize,
    /// Memory of all workers.
    pub(crate) memory: Option<Budget>,
}

impl SizeSettings {
    /// Determines the size on a machine.
    pub(crate) fn on(&self, machine: &Machine) -> Result<Size, BuildError> {
        if self.threads == Some(0) || self.threads_max == Some(0) || self.workers_max == Some(0) {
            return Err(BuildError::NoThreads);
        }
        if let (Some(threads), Some(max)) = (self.threads, self.threads_max)
            && max < threads
        {
            return Err(BuildError::ThreadsMax { threads, max });
        }
        let bound = self.threads_max.or(self.threads);
        if let (Some(threads), Some(workers_max)) = (bound, self.workers_max)
            && workers_max > threads
        {
            return Err(BuildError::WorkersMax { workers_max, threads });
        }
        let memory = match (self.memory_bytes_max, machine.memory_bytes) {
            (Some(bytes), _) => Some(Budget::limit(bytes)),
            (None, Some(bytes)) => Some(Budget::share(
                usize::try_from(bytes).unwrap_or(usize::MAX) / MEMORY_SHARE,
            )),
            (None, None) => None,
        };
        let threads_max = self.workers_max.or(bound).unwrap_or_else(|| fitting(memory, machine));
        let script_workers_max = if bound.is_some() {
            threads_max
        } else {
            machine.processors
        };
        Ok(Size {
            threads: self.threads.unwrap_or(machine.processors).min(threads_max),
            threads_max,
            threads_are_set: self.workers_max.or(bound).is_some(),
            script_workers_max: script_workers_max.min(threads_max),
            boots_max: machine.processors,
            memory,
        })
    }
}

/// Returns the number of workers that fit into the memory and the task limit.
fn fitting(memory: Option<Budget>, machine: &Machine) -> usize {
    let few = WORKERS_FEW.max(machine.processors * 2);
    let many = memory.map_or(few, |memory| memory.bytes / WORKER_BYTES);
    let tasks = machine.tasks_max.map_or(WORKERS_MANY, |tasks| {
        usize::try_from(tasks / TASKS_SHARE).unwrap_or(WORKERS_MANY)
    });
    many.min(WORKERS_MANY).min(tasks).max(few)
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    const fn machine(memory_mib: u64) -> Machine {
        Machine {
            processors: 2,
            memory_bytes: Some(memory_mib * MIB),
            tasks_max: None,
        }
    }

    fn threads_max(memory_mib: u64) -> usize {
        SizeSettings::default()
            .on(&machine(memory_mib))
            .expect("a size")
            .threads_max
    }

    #[test]
    fn by_default_workers_follow_memory_between_few_and_many() {
        assert_eq!([16, 256, 4096, 1 << 20].map(threads_max), [8, 32, 512, WORKERS_MANY]);
        let size = SizeSettings::default().on(&machine(4096)).expect("a size");
        assert_eq!((size.threads, size.script_workers_max, size.boots_max), (2, 2, 2));
        assert_eq!(size.memory, Some(Budget::share(2 << 30)));
        let scarce = Machine {
            tasks_max: Some(100),
            ..machine(4096)
        };
        assert_eq!(SizeSettings::default().on(&scarce).expect("a size").threads_max, 25);
    }

    #[test]
    fn a_limit_on_memory_alone_decides_how_many_workers_fit() {
        let settings = SizeSettings {
            memory_bytes_max: Some(400 << 20),
            ..SizeSettings::default()
        };
        let size = settings.on(&machine(4096)).expect("a size");
        assert_eq!((size.threads_max, size.memory), (100, Some(Budget::limit(400 << 20))));
    }

    #[test]
    fn a_number_of_threads_is_a_bound_whatever_the_memory() {
        let settings = SizeSettings {
            threads: Some(5),
            ..SizeSettings::default()
        };
        let size = settings.on(&machine(16)).expect("a size");
        assert_eq!((size.threads, size.threads_max, size.script_workers_max), (5, 5, 5));
        let settings = SizeSettings {
            workers_max: Some(1),
            ..SizeSettings::default()
        };
        let size = settings.on(&machine(4096)).expect("a size");
        assert_eq!((size.threads, size.threads_max, size.script_workers_max), (1, 1, 1));
    }

    #[test]
    fn numbers_that_contradict_each_other_are_errors() {
        let settings = SizeSettings {
            threads: Some(4),
            threads_max: Some(3),
            ..SizeSettings::default()
        };
        assert!(matches!(settings.on(&machine(16)), Err(BuildError::ThreadsMax { .. })));
        let settings = SizeSettings {
            threads: Some(4),
            workers_max: Some(5),
            ..SizeSettings::default()
        };
        let error = settings.on(&machine(16)).expect_err("a contradiction").to_string();
        assert!(error.contains("`workers_max` (5)") && error.contains("(4)"), "{error}");
        for settings in [
            SizeSettings {
                threads: Some(0),
                ..SizeSettings::default()
            },
            SizeSettings {
                workers_max: Some(0),
                ..SizeSettings::default()
            },
        ] {
            assert!(matches!(settings.on(&machine(16)), Err(BuildError::NoThreads)));
        }
    }
}
