//! CPU accounting: which event used how much CPU time, derived from samples of a thread's clock. Free of V8 and
//! threads: samples in, decisions out.
//!
//! It works like a kernel's tick. Each sample of a busy worker determines the CPU time used since the last one, and
//! asks which event's code is running; the answer is charged with all time not yet charged. No time is dropped between
//! samples, so in the long run each event pays for what it used, however short its turns. An event that began since the
//! last sample is charged at most for the time since then.

use std::time::{Duration, Instant};

use isopod_ext::handlers::{EventKey, KeyMap};

/// Maximum number of events with an account. Beyond it, the half that used least is forgotten.
const ACCOUNTS_MAX: usize = 1024;

/// CPU time between samples after which a turn counts as long: more than most turns use, and less than any useful
/// limit. It is most of the time between two samples.
const LONG: Duration = Duration::from_millis(4);

/// A worker gets at least one part in this many of a processor for its long turns.
const SHARE_MIN: u32 = 4;

/// After this many samples without an answer, native code is running: a thread that only waited for a processor would
/// have answered.
const UNANSWERED_MAX: u32 = 10;

/// Limit for code of an ended event in one turn, such as the `cancel()` of an abandoned stream: nothing waits for it,
/// and other events of the worker wait behind it.
const LEFTOVER_MAX: Duration = Duration::from_secs(1);

/// Time that a long turn may go without a processor, in total and not per turn.
const PATIENCE: Duration = Duration::from_millis(40);

/// CPU limits of an event and of a worker's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuLimits {
    /// Limit of an event.
    pub(crate) event: Duration,
    /// Soft limit of an event.
    pub(crate) soft: Duration,
    /// Limit of a worker's start.
    pub(crate) boot: Duration,
}

/// The reason for entering a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// To start it.
    Boot,
    /// To begin or cancel this event.
    Event(EventKey),
    /// To run its event loop. Contains its newest event.
    Loop(EventKey),
}

impl Entered {
    const fn newest(self) -> EventKey {
        match self {
            Self::Boot => 0,
            Self::Event(key) | Self::Loop(key) => key,
        }
    }
}

/// The event whose code was running when a question was answered; `None` if the code belongs to no open event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) turn: u64,
    pub(super) event: Option<EventKey>,
    /// The code belongs to an event that has ended.
    pub(super) is_leftover: bool,
}

/// One sample of a busy worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// The thread's clock.
    pub(super) cpu: Duration,
    /// The current turn and its reason.
    pub(super) turn: u64,
    pub(super) entered: Entered,
    /// The answer to an earlier question.
    pub(super) answer: Option<Answer>,
}

/// An event that has exceeded its soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoftCpu {
    pub(crate) event: EventKey,
    pub(crate) used: Duration,
}

/// The decision after a sample.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// End the turn; the event is the one to blame, if known.
    pub(super) breach: Option<Option<EventKey>>,
    /// End the turn because code is running after its deadline.
    pub(super) late: Option<Option<EventKey>>,
    /// An event that exceeded its limit and may not be running: it ends when it next runs.
    pub(super) over: Option<EventKey>,
    pub(super) soft: Option<SoftCpu>,
    /// Query which event is running.
    pub(super) ask: bool,
    pub(super) standing: Standing,
    /// The turn has just become a long one.
    pub(super) is_long: bool,
}

/// The priority that the turn's thread should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    #[default]
    Normal,
    /// Lowered: the turn has used so much CPU time that other threads should run first.
    Lowered,
}

/// A query of the running event that has no answer yet.
#[derive(Debug)]
struct Query {
    /// The newest event at the previous sample, and the time of that sample.
    newest: EventKey,
    since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Used {
    cpu: Duration,
    told: bool,
}

/// The accounts of a worker.
#[derive(Debug)]
pub(crate) struct Accounts {
    limits: CpuLimits,
    /// The thread's clock at the last sample.
    clock: Duration,
    /// CPU time used and not charged yet.
    unpaid: Duration,
    query: Option<Query>,
    /// The number of the last query.
    question: u64,
    /// The watchdog's wake-up in which the clock was last read.
    awake: u64,
    events: KeyMap<Used>,
    /// CPU time of the thread that its events were already charged for.
    charged: Duration,
    /// The deadlines for the code of each event, and for the start.
    stops: KeyMap<Instant>,
    boot_stops: Option<Instant>,
    boot: Duration,
    turn: u64,
    /// CPU time of the turn since it was first sampled.
    turn_used: Duration,
    /// Time that the turn may still go without a processor. Spent by waiting in long turns, and earned by running.
    patience: Duration,
    /// CPU time of the turn charged to no event: native code, code of no event.
    unattributed: Duration,
    /// The time since when the turn has run code of ended events.
    leftover_since: Option<Instant>,
    /// Consecutive samples of the turn without an answer.
    unanswered: u32,
    newest: EventKey,
    looked: Option<Instant>,
}

impl Accounts {
    pub(super) fn new(limits: CpuLimits, clock: Duration) -> Self {
        Self {
            limits,
            clock,
            unpaid: Duration::ZERO,
            query: None,
            question: 0,
            awake: 0,
            events: KeyMap::default(),
            charged: Duration::ZERO,
            stops: KeyMap::default(),
            boot_stops: None,
            boot: Duration::ZERO,
            turn: 0,
            turn_used: Duration::ZERO,
            patience: PATIENCE,
            unattributed: Duration::ZERO,
            leftover_since: None,
            unanswered: 0,
            newest: 0,
            looked: None,
        }
    }

    /// Called after the watchdog slept: CPU time used meanwhile is charged to no event. `awake` is the number of the
    /// wake-up.
    pub(super) fn wake(&mut self, awake: u64, clock: Duration) {
        if self.awake != awake {
            self.awake = awake;
            self.clock = clock;
            self.charged = Duration::ZERO;
            self.unpaid = Duration::ZERO;
        }
    }

    /// The number of the last query. Numbers are not reused.
    pub(super) const fn question(&self) -> u64 {
        self.question
    }

    /// Sets the deadline for the event's code.
    pub(crate) fn stop_at(&mut self, event: EventKey, at: Instant) {
        self.stops.insert(event, at);
    }

    /// Sets the deadline for the start's code.
    pub(crate) const fn stop_boot_at(&mut self, at: Instant) {
        self.boot_stops = Some(at);
    }

    /// Closes the account of an ended event.
    pub(crate) fn ended(&mut self, event: EventKey) {
        self.stops.remove(&event);
        self.events.remove(&event);
    }

    /// Resets the CPU time that an event has used.
    pub(crate) fn renew(&mut self, event: EventKey) {
        self.events.remove(&event);
    }

    /// Charges an event for time spent outside of its code. Returns `true` if it has reached its limit.
    pub(super) fn charge(&mut self, event: EventKey, used: Duration) -> bool {
        let account = self.events.entry(event).or_default();
        account.cpu += used;
        let is_over = account.cpu >= self.limits.event;
        self.forget_some();
        is_over
    }

    /// Charges the start of a worker, or a command. Returns `true` if it has reached its limit.
    pub(super) fn charge_boot(&mut self, used: Duration) -> bool {
        self.boot += used;
        self.boot >= self.limits.boot
    }

    /// Records that charged time was used on the worker's thread, so that it is not charged again.
    pub(super) fn was_charged(&mut self, used: Duration) {
        self.charged += used;
    }

    /// Records a sample of an idle worker.
    pub(super) fn glance(&mut self, at: Instant, entered: Entered) {
        self.newest = entered.newest();
        self.looked = Some(at);
    }

    pub(super) fn judge(&mut self, look: Sample) -> Judgement {
        let used = look.cpu.saturating_sub(self.clock);
        self.clock = look.cpu;
        let owed = used.saturating_sub(self.charged);
        self.charged = self.charged.saturating_sub(used);
        let was_long = self.turn == look.turn && self.turn_used >= LONG;
        let was_seen = self.turn == look.turn;
        if self.turn != look.turn {
            self.turn = look.turn;
            (self.turn_used, self.unattributed, self.unanswered) = (Duration::ZERO, Duration::ZERO, 0);
            self.leftover_since = None;
        } else {
            self.turn_used += used;
            self.unattributed += owed;
        }
        let mut judgement = Judgement {
            standing: self.standing(look.at, used, was_long),
            is_long: self.turn_used >= LONG && !was_long,
            ..Judgement::default()
        };
        if look.entered == Entered::Boot {
            self.boot += owed;
            judgement.breach = (self.boot >= self.limits.boot).then_some(None);
            judgement.late = self.boot_stops.is_some_and(|at| at <= look.at).then_some(None);
            self.glance(look.at, look.entered);
            return judgement;
        }
        if look.answer.is_some() {
            self.unanswered = 0;
        }
        if let (Some(answer), Some(query)) = (look.answer, self.query.take()) {
            self.pay(look.at, answer, &query, &mut judgement);
        } else if look.answer.is_none() {
            self.suspect(look.entered, &mut judgement);
            if was_seen {
                self.unanswered += 1;
                self.suspect_late(look.at, look.entered, &mut judgement);
            }
        }
        self.unpaid += owed;
        if judgement.breach.is_none() && self.query.is_none() {
            judgement.ask = true;
            self.question += 1;
            self.query = Some(Query {
                newest: self.newest,
                since: self.looked,
            });
        }
        self.glance(look.at, look.entered);
        judgement
    }

    /// A long turn lets others run first, but is not starved: below its share, it is equal to them.
    fn standing(&mut self, now: Instant, got: Duration, was_long: bool) -> Standing {
        if was_long && let Some(looked) = self.looked {
            let earned = self.patience + got * SHARE_MIN;
            self.patience = earned
                .saturating_sub(now.saturating_duration_since(looked))
                .min(PATIENCE);
        }
        match self.turn_used >= LONG && !self.patience.is_zero() {
            true => Standing::Lowered,
            false => Standing::Normal,
        }
    }

    /// Charges the uncharged time to the event that was running.
    fn pay(&mut self, now: Instant, answer: Answer, query: &Query, judgement: &mut Judgement) {
        let owed = std::mem::take(&mut self.unpaid);
        let same_turn = answer.turn == self.turn;
        let leftover_since = self.leftover_since.take();
        let Some(event) = answer.event else {
            if same_turn && self.unattributed >= self.limits.event {
                judgement.breach = Some(None);
            }
            if same_turn && answer.is_leftover {
                let since = leftover_since.unwrap_or(now);
                judgement.late = (now.saturating_duration_since(since) >= LEFTOVER_MAX).then_some(None);
                self.leftover_since = Some(since);
            }
            return;
        };
        if same_turn && self.stops.get(&event).is_some_and(|at| *at <= now) {
            judgement.late = Some(Some(event));
        }
        let existed = match query.since {
            Some(since) if event > query.newest => now.saturating_duration_since(since),
            _ => Duration::MAX,
        };
        let account = self.events.entry(event).or_default();
        account.cpu += owed.min(existed);
        if same_turn {
            self.unattributed = self.unattributed.saturating_sub(owed);
        }
        if account.cpu >= self.limits.event {
            match same_turn {
                true => judgement.breach = Some(Some(event)),
                false => judgement.over = Some(event),
            }
        }
        if account.cpu >= self.limits.soft && !std::mem::replace(&mut account.told, true) {
            judgement.soft = Some(SoftCpu {
                event,
                used: account.cpu,
            });
        }
        self.forget_some();
    }

    /// Without an answer, native code is running, possibly forever.
    fn suspect(&self, entered: Entered, judgement: &mut Judgement) {
        let (before, event) = match entered {
            Entered::Event(key) => (self.events.get(&key).map_or(Duration::ZERO, |used| used.cpu), Some(key)),
            Entered::Loop(_) | Entered::Boot => (Duration::ZERO, None),
        };
        if before + self.unattributed >= self.limits.event {
            judgement.breach = Some(event);
        }
    }

    /// Without an answer for a whole interval, native code of the event that began is running past its deadline. With
    /// several events, only if the machine is not just busy.
    fn suspect_late(&self, now: Instant, entered: Entered, judgement: &mut Judgement) {
        let is_late = |at: &Instant| *at <= now;
        judgement.late = match entered {
            Entered::Event(key) => self.stops.get(&key).is_some_and(is_late).then_some(Some(key)),
            Entered::Loop(_) if self.unanswered < UNANSWERED_MAX || self.stops.is_empty() => None,
            Entered::Loop(_) => self.stops.values().all(is_late).then_some(None),
            Entered::Boot => None,
        };
    }

    fn forget_some(&mut self) {
        if self.events.len() > ACCOUNTS_MAX {
            let mut amounts: Vec<_> = self.events.values().map(|used| used.cpu).collect();
            let (_, median, _) = amounts.select_nth_unstable(ACCOUNTS_MAX / 2);
            let median = *median;
            self.events.retain(|_, used| used.cpu > median);
        }
    }
}

#[cfg(test)]
mod tests;
