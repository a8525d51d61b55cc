//! Who used how much CPU time, worked out from looks at a thread's clock. No V8 and no thread here: what is seen comes in,
//! what follows from it goes out.
//!
//! It works like the tick of a kernel. Each look at a busy worker finds how much CPU time its thread has used, and asks
//! whose code runs; the answer is charged with all that was used and not yet paid for. Nothing is dropped between looks,
//! so that in the long run each event pays for what it used, however short its turns are. An event that began since the
//! last look pays no more than the time it has existed for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use isopod_ext::handlers::EventKey;

/// Events with an account of their own at a time. Beyond it the half that used least is forgotten.
const ACCOUNTS_MAX: usize = 1024;

/// What a turn uses between looks before it is a long one: more than most ever do, and less than any limit that an event would be
/// given. It is most of what there is between two looks.
const LONG: Duration = Duration::from_millis(4);

/// The part of a processor that a worker gets in its long turns, whatever else there is to do: one in this many.
const SHARE_MIN: u32 = 4;

/// So many looks without an answer are native code, and not a thread that did not get to run.
const UNANSWERED_MAX: u32 = 10;

/// How long code of an event that has ended may run in one turn, as the `cancel()` of a stream whose reader left. Nothing waits
/// for it, and other events of the worker wait behind it.
const LEFTOVER_MAX: Duration = Duration::from_secs(1);

/// How long it may have had nothing at all, once and not again for each turn.
const PATIENCE: Duration = Duration::from_millis(40);

/// What one event, or one start, may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuLimits {
    /// Of one event.
    pub(crate) event: Duration,
    /// Of one event before its script is told.
    pub(crate) soft: Duration,
    /// Of the start.
    pub(crate) boot: Duration,
}

/// For whom a worker was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// For its start.
    Boot,
    /// To begin this event, or to cancel it.
    Event(EventKey),
    /// To go on with whatever waits. Holds the newest of its events.
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

/// Whose code ran at a moment after the question; `None`: no open event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) turn: u64,
    pub(super) event: Option<EventKey>,
    /// It is the code of an event that has ended.
    pub(super) is_leftover: bool,
}

/// What one look at a busy worker found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// The thread's clock.
    pub(super) cpu: Duration,
    /// The turn it is in, and what for.
    pub(super) turn: u64,
    pub(super) entered: Entered,
    /// To the question of an earlier look.
    pub(super) answer: Option<Answer>,
}

/// An event that has used more than the soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoftCpu {
    pub(crate) event: EventKey,
    pub(crate) used: Duration,
}

/// What follows from a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The turn is over; the event is the one to blame, where there is one.
    pub(super) breach: Option<Option<EventKey>>,
    /// The same, because it runs at a time at which it was to be over.
    pub(super) late: Option<Option<EventKey>>,
    /// An event that is beyond its limit and may not be running: it is over when it is next seen to run.
    pub(super) over: Option<EventKey>,
    pub(super) soft: Option<SoftCpu>,
    /// Whether to ask whose code runs.
    pub(super) ask: bool,
    pub(super) standing: Standing,
}

/// The priority that the thread of a turn should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    #[default]
    Normal,
    /// It has used so much that others should not wait for it.
    Lowered,
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Asked {
    /// The newest event at the look before, and when that was.
    newest: EventKey,
    since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Used {
    cpu: Duration,
    told: bool,
}

/// The accounts of one worker.
#[derive(Debug)]
pub(crate) struct Accounts {
    limits: CpuLimits,
    /// The thread's clock as it was last read.
    clock: Duration,
    /// Used, and charged to nobody yet.
    unpaid: Duration,
    asked: Option<Asked>,
    /// The number of the last question.
    question: u64,
    /// Which awakening of the watchdog the clock was last read in.
    awake: u64,
    events: HashMap<EventKey, Used>,
    /// What the thread used and was charged for already, by whoever used it.
    charged: Duration,
    /// When the code of each event is to be over, and that of the start.
    stops: HashMap<EventKey, Instant>,
    boot_stops: Option<Instant>,
    boot: Duration,
    turn: u64,
    /// What the turn has used since it was first seen.
    turn_used: Duration,
    /// How long it may still have nothing: used up by the clock in long turns, and earned with what it gets.
    patience: Duration,
    /// What the turn has used that no event was charged with: native code, code of no event.
    nobodys: Duration,
    /// Since when the turn has run code of events that have ended.
    leftover_since: Option<Instant>,
    /// How many looks in a row the turn has not answered a question.
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
            asked: None,
            question: 0,
            awake: 0,
            events: HashMap::new(),
            charged: Duration::ZERO,
            stops: HashMap::new(),
            boot_stops: None,
            boot: Duration::ZERO,
            turn: 0,
            turn_used: Duration::ZERO,
            patience: PATIENCE,
            nobodys: Duration::ZERO,
            leftover_since: None,
            unanswered: 0,
            newest: 0,
            looked: None,
        }
    }

    /// While the watchdog slept nobody looked: what was used meanwhile is nobody's. Told of the how manieth awakening it is.
    pub(super) fn wake(&mut self, awake: u64, clock: Duration) {
        if self.awake != awake {
            self.awake = awake;
            self.clock = clock;
            self.charged = Duration::ZERO;
            self.unpaid = Duration::ZERO;
        }
    }

    /// The number of the last question; a number is never used again.
    pub(super) const fn question(&self) -> u64 {
        self.question
    }

    /// Code that runs for this event at this time is over.
    pub(crate) fn stop_at(&mut self, event: EventKey, at: Instant) {
        self.stops.insert(event, at);
    }

    /// Code that runs for the start at this time is over.
    pub(crate) const fn stop_boot_at(&mut self, at: Instant) {
        self.boot_stops = Some(at);
    }

    /// The event has ended: nothing is charged to it any more.
    pub(crate) fn ended(&mut self, event: EventKey) {
        self.stops.remove(&event);
        self.events.remove(&event);
    }

    /// Charges an event for time that was used for it outside of its code. `true`: it has used as much as it may.
    pub(super) fn charge(&mut self, event: EventKey, used: Duration) -> bool {
        let account = self.events.entry(event).or_default();
        account.cpu += used;
        let is_over = account.cpu >= self.limits.event;
        self.forget_some();
        is_over
    }

    /// The same for the start, or all of a command.
    pub(super) fn charge_boot(&mut self, used: Duration) -> bool {
        self.boot += used;
        self.boot >= self.limits.boot
    }

    /// What was charged was used on the worker's own thread: it is not owed again.
    pub(super) fn was_charged(&mut self, used: Duration) {
        self.charged += used;
    }

    /// A look at a worker that was not busy.
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
            (self.turn_used, self.nobodys, self.unanswered) = (Duration::ZERO, Duration::ZERO, 0);
            self.leftover_since = None;
        } else {
            self.turn_used += used;
            self.nobodys += owed;
        }
        let mut judgement = Judgement {
            standing: self.standing(look.at, used, was_long),
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
        if let (Some(answer), Some(asked)) = (look.answer, self.asked.take()) {
            self.pay(look.at, answer, &asked, &mut judgement);
        } else if look.answer.is_none() {
            self.suspect(look.entered, &mut judgement);
            if was_seen {
                self.unanswered += 1;
                self.suspect_late(look.at, look.entered, &mut judgement);
            }
        }
        self.unpaid += owed;
        if judgement.breach.is_none() && self.asked.is_none() {
            judgement.ask = true;
            self.question += 1;
            self.asked = Some(Asked {
                newest: self.newest,
                since: self.looked,
            });
        }
        self.glance(look.at, look.entered);
        judgement
    }

    /// A long turn lets others go first, but is not held up by them for ever: below its share it is one of them.
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

    /// Charges whoever ran with what is unpaid.
    fn pay(&mut self, now: Instant, answer: Answer, asked: &Asked, judgement: &mut Judgement) {
        let owed = std::mem::take(&mut self.unpaid);
        let same_turn = answer.turn == self.turn;
        let leftover_since = self.leftover_since.take();
        let Some(event) = answer.event else {
            if same_turn && self.nobodys >= self.limits.event {
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
        let existed = match asked.since {
            Some(since) if event > asked.newest => now.saturating_duration_since(since),
            _ => Duration::MAX,
        };
        let account = self.events.entry(event).or_default();
        account.cpu += owed.min(existed);
        if same_turn {
            self.nobodys = self.nobodys.saturating_sub(owed);
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

    /// No answer: native code, perhaps for ever.
    fn suspect(&self, entered: Entered, judgement: &mut Judgement) {
        let (before, event) = match entered {
            Entered::Event(key) => (self.events.get(&key).map_or(Duration::ZERO, |used| used.cpu), Some(key)),
            Entered::Loop(_) | Entered::Boot => (Duration::ZERO, None),
        };
        if before + self.nobodys >= self.limits.event {
            judgement.breach = Some(event);
        }
    }

    /// No answer, for as long as from one look to the next: native code of the event that was begun. Or of one of several, where
    /// it is that and not a busy machine.
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
