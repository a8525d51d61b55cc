//! Placement of events and workers: pure functions of the threads' state.

use std::time::Duration;

/// State of a thread from the view of the script to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadView {
    /// Hosts no worker.
    Vacant,
    /// Hosts a warm worker of this version.
    Warm {
        /// Events it holds.
        in_flight: usize,
        /// Sessions that pin it.
        sessions: usize,
    },
    /// A worker of this version is booting here, or will.
    Coming,
    /// Hosts another script's worker without events and sessions.
    Idle {
        /// Idle time.
        idle_for: Duration,
        /// Its script keeps it warm.
        kept: bool,
    },
    /// Hosts a worker that cannot be displaced now.
    Taken,
}

/// Input for a placement.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// State of each thread; threads are identified by index.
    pub threads: &'a [ThreadView],
    /// Maximum number of threads.
    pub threads_max: usize,
    /// Maximum number of events of a worker.
    pub concurrency: usize,
    /// Number of events on the least loaded worker at which the script gets another worker.
    pub spread_at: usize,
    /// Maximum number of workers of the script.
    pub workers_max: usize,
    /// Number of queued events.
    pub queued: usize,
    /// Maximum queue length.
    pub queue_len_max: usize,
    /// False while the breaker refuses boots.
    pub may_boot: bool,
    /// Idle time after which a worker may be displaced by a script that has another worker.
    pub displace_after: Duration,
}

impl View<'_> {
    const fn with_extra(&self, threads: usize) -> Self {
        Self {
            threads_max: self.threads_max.saturating_add(threads),
            ..*self
        }
    }
}

/// Destination of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// The warm worker on this thread.
    Worker(usize),
    /// The script's queue; the next worker with room takes it.
    Queue,
    /// The event is refused.
    Shed,
}

/// Addition of a worker for the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grow {
    /// No worker is added.
    Keep,
    /// Boots on this vacant thread.
    Vacant(usize),
    /// Boots on a new thread.
    NewThread,
    /// Boots on this thread, once its idle worker is retired.
    Displace(usize),
}

/// A placement decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Destination of the event.
    pub seat: Seat,
    /// Addition of a worker.
    pub grow: Grow,
}

/// Places one event.
///
/// The event goes to the least loaded warm worker with room, among equals to the one with fewer sessions. If that worker has
/// `spread_at` events in flight, the script also gets another worker (see [`room`]), unless enough are booting. The event
/// waits for that one only if no warm worker has room.
#[must_use]
pub fn place(view: &View<'_>) -> Placement {
    let own = Own::of(view);
    let grow = if own.may_grow(view) {
        room(view, Displacing::Allowed)
    } else {
        Grow::Keep
    };
    let seat = match own.least {
        Some((_, index)) => Seat::Worker(index),
        None if view.queued < view.queue_len_max => Seat::Queue,
        None => Seat::Shed,
    };
    Placement { seat, grow }
}

/// Places a nested event, for which up to `extra` threads are added if there is no other place.
#[must_use]
pub fn place_nested(view: &View<'_>, extra: usize) -> Placement {
    let placement = place(view);
    match placement.grow {
        Grow::Keep => place(&view.with_extra(extra)),
        _ => placement,
    }
}

/// Returns whether the script wants another worker for this event and may have one. Only then do the other scripts' threads
/// matter for its placement.
#[must_use]
pub fn may_grow(view: &View<'_>) -> bool {
    Own::of(view).may_grow(view)
}

/// The script's own workers.
struct Own {
    /// Events, sessions and index of the least loaded worker with room.
    least: Option<((usize, usize), usize)>,
    coming: usize,
    count: usize,
}

impl Own {
    fn of(view: &View<'_>) -> Self {
        let mut own = Self {
            least: None,
            coming: 0,
            count: 0,
        };
        for (index, thread) in view.threads.iter().enumerate() {
            match *thread {
                ThreadView::Warm { in_flight, sessions } => {
                    own.count += 1;
                    let load = (in_flight, sessions);
                    if in_flight < view.concurrency && own.least.is_none_or(|(least, _)| load < least) {
                        own.least = Some((load, index));
                    }
                }
                ThreadView::Coming => {
                    own.count += 1;
                    own.coming += 1;
                }
                _ => {}
            }
        }
        own
    }

    fn may_grow(&self, view: &View<'_>) -> bool {
        let calm = matches!(self.least, Some(((in_flight, _), _)) if in_flight < view.spread_at);
        let covered = view.queued < self.coming * view.spread_at;
        !calm && !covered && view.may_boot && self.count < view.workers_max
    }
}

/// The worker to which an event's caller is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Events it holds.
    pub in_flight: usize,
    /// Mean duration of its turns.
    pub turn: Duration,
    /// Number of tasks attached to it.
    pub attached: usize,
}

/// Maximum extra wait of an attached caller's event for its own worker.
const NEAR_WAIT_MAX: Duration = Duration::from_millis(1);

impl Near {
    /// Returns whether the event of an attached task stays with its worker although `place` prefers another one. It stays if
    /// it begins hardly later there, and attached tasks are spread evenly, up to a difference of an eighth of all, or four.
    #[must_use]
    pub fn keeps(&self, other: &Self) -> bool {
        let further = u32::try_from(self.in_flight.saturating_sub(other.in_flight)).unwrap_or(u32::MAX);
        let is_soon = self.turn.saturating_mul(further) <= NEAR_WAIT_MAX;
        let is_spread = self.attached <= other.attached + 4.max((self.attached + other.attached) / 8);
        is_soon && is_spread
    }
}

/// Permission to displace an idle worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displacing {
    /// Allowed, because an event is waiting.
    Allowed,
    /// Forbidden, because the worker is only to be kept warm.
    Forbidden,
}

/// Returns the place for another worker of the script: a vacant thread, else a new thread, else that of the longest idle worker.
#[must_use]
pub fn room(view: &View<'_>, displacing: Displacing) -> Grow {
    let own = Own::of(view).count;
    if !view.may_boot || own >= view.workers_max {
        return Grow::Keep;
    }
    Places::of(view.threads, view.threads_max, view.displace_after).room(own, displacing)
}

/// Returns the place for another worker of the script for a nested event, for which extra threads may be added.
#[must_use]
pub fn room_nested(view: &View<'_>, displacing: Displacing, extra: usize) -> Grow {
    match room(view, displacing) {
        Grow::Keep => room(&view.with_extra(extra), displacing),
        grow => grow,
    }
}

/// The places for another worker of any script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    vacant: Option<usize>,
    is_full: bool,
    /// The longest idle worker.
    idle: Option<(Duration, usize)>,
    /// The longest idle worker that a script with another worker may displace.
    ripe: Option<(Duration, usize)>,
    /// Time until the next worker becomes ripe.
    ripens: Option<Duration>,
}

impl Places {
    /// Creates an empty set of places.
    #[must_use]
    pub fn none() -> Self {
        Self {
            is_full: true,
            ..Self::default()
        }
    }

    /// Finds the places among these threads.
    #[must_use]
    pub fn of(threads: &[ThreadView], threads_max: usize, displace_after: Duration) -> Self {
        let mut places = Self {
            is_full: threads.len() >= threads_max,
            ..Self::default()
        };
        for (index, thread) in threads.iter().enumerate() {
            match *thread {
                ThreadView::Vacant if places.vacant.is_none() => places.vacant = Some(index),
                ThreadView::Idle { idle_for, kept } => {
                    let longer =
                        |oldest: Option<(Duration, usize)>| oldest.is_none_or(|(longest, _)| idle_for > longest);
                    if longer(places.idle) {
                        places.idle = Some((idle_for, index));
                    }
                    match displace_after.checked_sub(idle_for) {
                        _ if kept => {}
                        Some(wait) if !wait.is_zero() => {
                            places.ripens = Some(places.ripens.map_or(wait, |least| least.min(wait)));
                        }
                        _ if longer(places.ripe) => places.ripe = Some((idle_for, index)),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        places
    }

    /// Returns the place for a script with this many workers.
    #[must_use]
    pub const fn room(&self, own: usize, displacing: Displacing) -> Grow {
        let oldest = if own == 0 { self.idle } else { self.ripe };
        match (self.vacant, oldest, displacing) {
            (Some(index), ..) => Grow::Vacant(index),
            (None, ..) if !self.is_full => Grow::NewThread,
            (None, Some((_, index)), Displacing::Allowed) => Grow::Displace(index),
            _ => Grow::Keep,
        }
    }

    /// Returns the time until there may be another place for a script that has a worker.
    #[must_use]
    pub const fn ripens(&self) -> Option<Duration> {
        self.ripens
    }

    /// Returns whether only idle workers' threads are available.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.is_full && self.vacant.is_none()
    }

    /// Returns whether a script without a worker finds a place.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        !self.is_full() || self.idle.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Near;

    #[test]
    fn attached_events_stay_unless_another_worker_is_much_less_busy() {
        let near = |in_flight, micros, attached| Near {
            in_flight,
            turn: Duration::from_micros(micros),
            attached,
        };
        assert!(near(16, 10, 16).keeps(&near(0, 10, 16)));
        assert!(!near(16, 100, 16).keeps(&near(0, 100, 16)), "1.6 ms later");
        assert!(near(16, 100, 16).keeps(&near(8, 100, 16)));
        assert!(!near(16, 10, 32).keeps(&near(0, 10, 0)), "all tasks in one place");
        assert!(near(4, 10, 5).keeps(&near(0, 10, 1)) && !near(4, 10, 6).keeps(&near(0, 10, 1)));
        assert!(near(4, 10, 125).keeps(&near(0, 10, 100)));
    }
}
