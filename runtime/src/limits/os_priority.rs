//! What the operating system runs first where there is more to run than processors.
//!
//! Threads that answer requests run for tens of microseconds at a time and wait in between; one that computes would keep a processor
//! for milliseconds while they are ready to run. Two things are said to Linux about it, both by
//! [`sched_setattr(2)`](https://man7.org/linux/man-pages/man2/sched_setattr.2.html):
//!
//! - every thread of a pool asks for short slices, so that it gets a processor soon from one that asked for longer ones
//!   (since Linux 6.12: [EEVDF](https://docs.kernel.org/scheduler/sched-eevdf.html); before it that has no effect);
//! - the thread of a long turn runs with `SCHED_IDLE`, when no other wants its processor. The watchdog decides that, and sees to it
//!   that the turn goes on all the same. Who may lower a priority may not always raise it again: that is tried out before,
//!   see [`can_restore`].
#![allow(unsafe_code, reason = "the scheduler's attributes are reached through libc alone")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The shortest slice that Linux gives.
const SLICE: Duration = Duration::from_micros(100);

/// What a pool says to the operating system about its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OsScheduling {
    /// They run in slices of 0.1 ms, see [`run_in_short_slices`]; and one in the middle of a long turn, which has used 4 ms of
    /// CPU time and goes on while other workers have something to do, runs when no other wants its processor (`SCHED_IDLE`),
    /// until the turn ends, or its worker's long turns have had less than a quarter of a processor. Where the process could not take that back (it has
    /// neither `CAP_SYS_NICE` nor a limit `RLIMIT_NICE` that allows it) it is not done.
    #[default]
    Tuned,
    /// Nothing.
    Untouched,
}

/// Has the calling thread, and the threads that it starts, run in slices of a tenth of a millisecond. Where the operating system knows
/// of no such thing, and for a thread whose scheduling its owner has changed, it does nothing.
pub fn run_in_short_slices() {
    if let Some(mut attributes) = Attributes::of_this_thread() {
        attributes.runtime = u64::try_from(SLICE.as_nanos()).unwrap_or(0);
        attributes.apply(0);
    }
}

/// Whether a thread of this process that has lowered its priority may raise it to what it was: with `CAP_SYS_NICE`, or with
/// a limit `RLIMIT_NICE` that allows it. Tried out on a thread of its own.
pub(crate) fn can_restore() -> bool {
    let tried = std::thread::Builder::new().name("isopod-priority".into()).spawn(|| {
        let Some(normal) = Attributes::of_this_thread() else {
            return false;
        };
        normal.lowest().is_some_and(|lowest| lowest.apply(0)) && normal.apply(0)
    });
    tried.is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// The priority of one thread, which any thread may lower and raise again while the owner of this lives.
pub(crate) struct OsPriority(Mutex<Standing>);

enum Standing {
    /// Its own, and what it is lowered to. `None`: it is left alone.
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
    /// Of the calling thread. Must be let go of, by [`Self::release`], before the thread ends: its number may be another's then.
    pub(crate) fn of_this_thread() -> Self {
        let thread = Attributes::of_this_thread().and_then(|normal| {
            let lowest = normal.lowest()?;
            // SAFETY: it takes nothing and cannot fail.
            let id = unsafe { libc::gettid() };
            Some(Thread { id, normal, lowest })
        });
        Self(Mutex::new(Standing::Normal(thread)))
    }

    /// One that nothing changes.
    pub(crate) const fn left_alone() -> Self {
        Self(Mutex::new(Standing::Normal(None)))
    }

    /// Lowers it, if this says so when nothing can raise it meanwhile. For another thread, which does not wait for this one: that
    /// may be in the middle of a change of its own, and have no processor for it.
    pub(crate) fn lower_if(&self, wanted: impl FnOnce() -> bool) {
        let Ok(mut standing) = self.0.try_lock() else { return };
        if let Standing::Normal(Some(thread)) = *standing
            && wanted()
            && thread.lowest.apply(thread.id)
        {
            *standing = Standing::Lowered(thread);
        }
    }

    /// Raises it to what it was. For another thread as well: it does not wait.
    pub(crate) fn raise(&self) {
        if let Ok(mut standing) = self.0.try_lock() {
            standing.raise();
        }
    }

    /// The same for the thread itself, whose priority it is afterwards in any case.
    pub(crate) fn restore(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).raise();
    }

    /// Raises it for the last time.
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
    /// For the policies here the slice that is asked for, in nanoseconds; zero asks for the usual one.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Its size: `SCHED_ATTR_SIZE_VER0`.
const SIZE: u32 = 48;
const _: () = assert!(size_of::<Attributes>() == SIZE as usize);

impl Attributes {
    /// `None` for a thread that does not share processors the usual way: whoever made it so knows why.
    fn of_this_thread() -> Option<Self> {
        let mut attributes = Self::default();
        // SAFETY: the kernel writes at most as many bytes as it is told there are.
        let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) };
        let usual = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| u32::try_from(policy).ok());
        (result == 0 && usual.contains(&Some(attributes.policy))).then_some(attributes)
    }

    /// The lowest priority there is: what runs on processors that nobody else wants.
    fn lowest(self) -> Option<Self> {
        let policy = u32::try_from(libc::SCHED_IDLE).ok()?;
        let runtime = 0;
        Some(Self {
            policy,
            runtime,
            ..self
        })
    }

    /// Gives a thread these; zero is the calling one. `false` where the operating system refuses.
    fn apply(&self, thread: libc::pid_t) -> bool {
        // SAFETY: the kernel reads as many bytes as `size` says, which it has set itself when these were read.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const *self, 0) == 0 }
    }
}
