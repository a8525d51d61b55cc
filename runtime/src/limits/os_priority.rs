//! Operating system priorities of worker threads.
//!
//! Threads that answer requests run for tens of microseconds and wait in between. A thread that computes would occupy a
//! processor for milliseconds while they are ready to run. Two settings improve this on Linux, both made with
//! [`sched_setattr(2)`](https://man7.org/linux/man-pages/man2/sched_setattr.2.html):
//!
//! - Every thread of a pool requests short slices, so that it is scheduled before threads that requested longer ones
//!   (since Linux 6.12: [EEVDF](https://docs.kernel.org/scheduler/sched-eevdf.html); without effect before).
//! - The thread of a long turn runs with `SCHED_IDLE`, that is, when no other thread needs its processor. The watchdog
//!   decides that, and ensures that the turn makes progress. Because not every process that can lower a priority can
//!   raise it again, this is tried out first, see [`can_restore`].
#![allow(unsafe_code, reason = "the scheduler's attributes are reached through libc alone")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The shortest slice that Linux supports.
const SLICE: Duration = Duration::from_micros(100);

/// Operating system scheduling of a pool's threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OsScheduling {
    /// Threads run in slices of 0.1 ms, see [`run_in_short_slices`]. A thread in a long turn, which has used 4 ms of
    /// CPU time while other workers have work, runs only when no other thread needs its processor (`SCHED_IDLE`), until
    /// the turn ends, or the worker's long turns have received less than a quarter of a processor. Priorities are not
    /// lowered if the process could not raise them again: that takes `CAP_SYS_NICE` or a sufficient `RLIMIT_NICE`.
    #[default]
    Tuned,
    /// The default scheduling of the operating system.
    Untouched,
}

/// Makes the calling thread, and the threads it spawns, run in slices of 0.1 ms. Does nothing if the operating system
/// does not support it, or if the thread's scheduling was changed before.
pub fn run_in_short_slices() {
    if let Some(mut attributes) = Attributes::of_this_thread() {
        attributes.runtime = u64::try_from(SLICE.as_nanos()).unwrap_or(0);
        attributes.apply(0);
    }
}

/// Returns true if a thread of this process can raise its priority after lowering it, with `CAP_SYS_NICE` or a
/// sufficient `RLIMIT_NICE`. Tried out on a temporary thread.
pub(crate) fn can_restore() -> bool {
    let tried = std::thread::Builder::new().name("isopod-priority".into()).spawn(|| {
        let Some(normal) = Attributes::of_this_thread() else {
            return false;
        };
        normal.lowest().is_some_and(|lowest| lowest.apply(0)) && normal.apply(0)
    });
    tried.is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// The priority of a thread. Any thread may lower and raise it while this is alive.
pub(crate) struct OsPriority(Mutex<Standing>);

enum Standing {
    /// At its own priority, with the lower one to use. `None`: never changed.
    Normal(Option<Thread>),
    Lowered(Thread),
}

#[derive(Clone, Copy)]
struct Thread {
    id: libc::pid_t,
    normal: Attributes,
    lowest: Attributes,
}

impl OsPriority {
    /// The priority of the calling thread. [`Self::release`] must be called before the thread ends, because its id may
    /// be reused.
    pub(crate) fn of_this_thread() -> Self {
        let thread = Attributes::of_this_thread().and_then(|normal| {
            let lowest = normal.lowest()?;
            // SAFETY: it takes no arguments and cannot fail.
            let id = unsafe { libc::gettid() };
            Some(Thread { id, normal, lowest })
        });
        Self(Mutex::new(Standing::Normal(thread)))
    }

    /// A priority that is never changed.
    pub(crate) const fn left_alone() -> Self {
        Self(Mutex::new(Standing::Normal(None)))
    }

    /// Lowers the priority if `wanted` returns true, which is called while nothing can raise it. For another thread,
    /// which does not wait for this one: it may be in the middle of a change without getting a processor.
    pub(crate) fn lower_if(&self, wanted: impl FnOnce() -> bool) {
        let Ok(mut standing) = self.0.try_lock() else { return };
        if let Standing::Normal(Some(thread)) = *standing
            && wanted()
            && thread.lowest.apply(thread.id)
        {
            *standing = Standing::Lowered(thread);
        }
    }

    /// Raises the priority to what it was. For another thread: does not wait.
    pub(crate) fn raise(&self) {
        if let Ok(mut standing) = self.0.try_lock() {
            standing.raise();
        }
    }

    /// Raises the priority to what it was. For the thread itself: always successful.
    pub(crate) fn restore(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).raise();
    }

    /// Raises the priority for the last time.
    pub(crate) fn release(&self) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.raise();
        *standing = Standing::Normal(None);
    }
}

impl Standing {
    fn raise(&mut self) {
        if let Self::Lowered(thread) = *self {
            thread.normal.apply(thread.id);
            *self = Self::Normal(Some(thread));
        }
    }
}

/// `struct sched_attr` of `sched_setattr(2)`, first version.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// For these policies the requested slice, in nanoseconds; zero requests the default.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Its size: `SCHED_ATTR_SIZE_VER0`.
const SIZE: u32 = 48;
const _: () = assert!(size_of::<Attributes>() == SIZE as usize);

impl Attributes {
    /// `None` for a thread with special scheduling, which is left unchanged.
    fn of_this_thread() -> Option<Self> {
        let mut attributes = Self::default();
        // SAFETY: the kernel writes at most `SIZE` bytes.
        let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
        let usual = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| u32::try_from(policy).ok());
        (result == 0 && usual.contains(&Some(attributes.policy))).then_some(attributes)
    }

    /// The lowest priority: runs only on processors that no other thread needs.
    fn lowest(self) -> Option<Self> {
        let policy = u32::try_from(libc::SCHED_IDLE).ok()?;
        let runtime = 0;
        Some(Self {
            policy,
            runtime,
            ..self
        })
    }

    /// Applies these attributes to a thread; zero is the calling one. Returns `false` if the operating system refuses.
    fn apply(&self, thread: libc::pid_t) -> bool {
        // SAFETY: the kernel reads as many bytes as `size` says, which it set itself when these were read.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const *self, 0) == 0 }
    }
}
