//! Placement of events and workers: pure functions of the threads' state.

use std::time::Duration;

/// State of a thread, as seen by the asking script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadView {
    /// Hosts no worker.
    Vacant,
    /// Hosts a warm worker of the asking version.
    Warm {
        /// Events it holds.
        in_flight: usize,
        /// Sessions that keep it.
        sessions: usize,
    },
    /// A worker of the asking version boots here, or will.
    Coming,
    /// Hosts another script's worker that has neither events nor sessions.
    Idle {
        /// Idle time.
        idle_for: Duration,
        /// It is kept warm by its script.
        kept: bool,
    },
    /// Hosts a worker that cannot be displaced now.
    Taken,
}

/// Input of a placement.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// State of each thread; threads are identified by index.
    pub threads: &'a [ThreadView],
    /// Maximum number of threads.
    pub threads_max: usize,
    /// Maximum number of events of a worker.
    pub concurrency: usize,
    /// Number of events on the least loaded worker above which the script gets another.
    pub spread_at: usize,
    /// Maximum number of workers of the script.
    pub workers_max: usize,
    /// Number of queued events.
    pub queued: usize,
    /// Maximum queue length.
    pub queue_len_max: usize,
    /// Boots are allowed; false while the breaker is open.
    pub may_boot: bool,
    /// Idle time after which a worker may be displaced by a script that has another worker.
    pub displace_after: Duration,
}

/// Destination of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// The warm worker on this thread.
    Worker(usize),
    /// The script's queue; the next worker with room takes it.
    Queue,
    /// Back to the caller.
    Shed,
}

/// Addition of a worker to the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grow {
    /// None.
    Keep,
    /// On this vacant thread.
    Vacant(usize),
    /// On this thread, after its idle worker is retired.
    Displace(usize),
    /// On a new thread.
    NewThread,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Destination of the event.
    pub seat: Seat,
    /// Addition of a worker.
    pub grow: Grow,
}

/// Places one event.
///
/// The least loaded warm worker with room takes it, of equals the one with fewer sessions. If that worker has `spread_at` events in flight, the script also gets
/// another worker (see [`room`]), unless enough are coming; the event does not wait for it if a warm worker has room.
#[must_use]
pub fn place(view: &View<'_>) -> Placement {
    let mut least: Option<((usize, usize), usize)> = None;
    let mut coming = 0;
    for (index, thread) in view.threads.iter().enumerate() {
        match thread {
            ThreadView::Warm { in_flight, sessions }
                if *in_flight < view.concurrency && least.is_none_or(|(load, _)| (*in_flight, *sessions) < load) =>
            {
                least = Some(((*in_flight, *sessions), index));
            }
            ThreadView::Coming => coming += 1,
            _ => {}
        }
    }
    let calm = matches!(least, Some(((load, _), _)) if load < view.spread_at);
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

/// Permission to displace an idle worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displacing {
    /// An event is waiting.
    Allowed,
    /// A worker is only to be kept warm: only vacant and new threads are used.
    Forbidden,
}

/// Returns the place for another worker of the script: a vacant thread, else the thread of the longest idle worker, else a
/// new thread.
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
