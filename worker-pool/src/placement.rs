//! Where an event goes and whether its script gets a further worker: pure functions of what the threads do.

use std::time::Duration;

/// What one thread does, as seen by the script that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadView {
    /// Hosts nothing.
    Vacant,
    /// Hosts a warm worker of the asking version.
    Warm {
        /// Events it holds.
        in_flight: usize,
    },
    /// A worker of the asking version boots here, or will.
    Coming,
    /// Hosts another script's worker that holds nothing.
    Idle {
        /// For how long it has held nothing.
        idle_for: Duration,
        /// Whether its script asked for it to be kept warm.
        kept: bool,
    },
    /// Hosts something that stays for now.
    Taken,
}

/// What a placement is decided by.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What each thread does; a thread is named by its index here.
    pub threads: &'a [ThreadView],
    /// How many threads there may be.
    pub threads_max: usize,
    /// How many events one worker holds at most.
    pub concurrency: usize,
    /// How many events the least loaded worker holds before the script is given a further one.
    pub spread_at: usize,
    /// How many workers the script may have.
    pub workers_max: usize,
    /// How many of its events wait.
    pub queued: usize,
    /// How many may wait.
    pub queue_len_max: usize,
    /// Whether a boot may be tried; false while the breaker is open.
    pub may_boot: bool,
    /// How long a worker has been idle before a script that has a worker already may take its thread.
    pub displace_after: Duration,
}

/// Where the event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// To the warm worker on this thread.
    Worker(usize),
    /// Into the script's queue; the next worker with room takes it.
    Queue,
    /// Back to the caller.
    Shed,
}

/// Whether the script gets a further worker, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grow {
    /// Not now.
    Keep,
    /// On this vacant thread.
    Vacant(usize),
    /// On this thread, once its idle worker is retired.
    Displace(usize),
    /// On a new thread.
    NewThread,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where the event goes.
    pub seat: Seat,
    /// Whether a worker is added as well.
    pub grow: Grow,
}

/// Places one event.
///
/// The least loaded warm worker takes it. Where that one has as many in flight as `spread_at`, the script also gets a
/// further worker (see [`room`]), unless those that are coming will do; the event does not wait for it where a warm worker
/// has room.
#[must_use]
pub fn place(view: &View<'_>) -> Placement {
    let mut least: Option<(usize, usize)> = None;
    let mut coming = 0;
    for (index, thread) in view.threads.iter().enumerate() {
        match thread {
            ThreadView::Warm { in_flight }
                if *in_flight < view.concurrency && least.is_none_or(|(load, _)| *in_flight < load) =>
            {
                least = Some((*in_flight, index));
            }
            ThreadView::Coming => coming += 1,
            _ => {}
        }
    }
    let calm = matches!(least, Some((load, _)) if load < view.spread_at);
    let covered = view.queued < coming * view.spread_at;
    let grow = if calm || covered {
        Grow::Keep
    } else {
        room(view, Displacing::Allowed)
    };
    let seat = match least {
        Some((_, index)) => Seat::Worker(index),
        None if view.queued < view.queue_len_max => Seat::Queue,
        None => Seat::Shed,
    };
    Placement { seat, grow }
}

/// Whether a script may take the thread of an idle worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displacing {
    /// An event waits: it may.
    Allowed,
    /// A worker is only to be kept warm: vacant and new threads will do.
    Forbidden,
}

/// Where a further worker of the script can live: a vacant thread, else the thread of the worker that has been idle
/// longest, else a new thread.
#[must_use]
pub fn room(view: &View<'_>, displacing: Displacing) -> Grow {
    let own = view
        .threads
        .iter()
        .filter(|thread| matches!(thread, ThreadView::Warm { .. } | ThreadView::Coming))
        .count();
    if !view.may_boot || own >= view.workers_max {
        return Grow::Keep;
    }
    let mut oldest: Option<(Duration, usize)> = None;
    for (index, thread) in view.threads.iter().enumerate() {
        match *thread {
            ThreadView::Vacant => return Grow::Vacant(index),
            ThreadView::Idle { idle_for, kept } => {
                let free = own == 0 || (!kept && idle_for >= view.displace_after);
                if free && oldest.is_none_or(|(longest, _)| idle_for > longest) {
                    oldest = Some((idle_for, index));
                }
            }
            _ => {}
        }
    }
    match oldest {
        Some((_, index)) if displacing == Displacing::Allowed => Grow::Displace(index),
        _ if view.threads.len() < view.threads_max => Grow::NewThread,
        _ => Grow::Keep,
    }
}
