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
}

/// A busy worker, looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
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
pub(super) struct Accounts {
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
    boot: Duration,
    turn: u64,
    /// What the turn has used since it was first seen.
    turn_used: Duration,
    /// How long it may still have nothing: used up by the clock in long turns, and earned with what it gets.
    patience: Duration,
    /// What the turn has used that no event was charged with: native code, code of no event.
    nobodys: Duration,
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
            boot: Duration::ZERO,
            turn: 0,
            turn_used: Duration::ZERO,
            patience: PATIENCE,
            nobodys: Duration::ZERO,
            newest: 0,
            looked: None,
        }
    }

    /// While the watchdog slept nobody looked: what was used meanwhile is nobody's. Told of the how manieth awakening it is.
    pub(super) fn wake(&mut self, awake: u64, clock: Duration) {
        if self.awake != awake {
            self.awake = awake;
            self.clock = clock;
            self.unpaid = Duration::ZERO;
        }
    }

    /// The number of the last question; a number is never used again.
    pub(super) const fn question(&self) -> u64 {
        self.question
    }

    /// A look at a worker that was not busy.
    pub(super) fn glance(&mut self, at: Instant, entered: Entered) {
        self.newest = entered.newest();
        self.looked = Some(at);
    }

    pub(super) fn judge(&mut self, look: Look) -> Judgement {
        let used = look.cpu.saturating_sub(self.clock);
        self.clock = look.cpu;
        let was_long = self.turn == look.turn && self.turn_used >= LONG;
        if self.turn != look.turn {
            self.turn = look.turn;
            (self.turn_used, self.nobodys) = (Duration::ZERO, Duration::ZERO);
        } else {
            self.turn_used += used;
            self.nobodys += used;
        }
        let mut judgement = Judgement {
            standing: self.standing(look.at, used, was_long),
            ..Judgement::default()
        };
        if look.entered == Entered::Boot {
            self.boot += used;
            judgement.breach = (self.boot >= self.limits.boot).then_some(None);
            self.glance(look.at, look.entered);
            return judgement;
        }
        if let (Some(answer), Some(asked)) = (look.answer, self.asked.take()) {
            self.pay(look.at, answer, &asked, &mut judgement);
        } else if look.answer.is_none() {
            self.suspect(look.entered, &mut judgement);
        }
        self.unpaid += used;
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
        let Some(event) = answer.event else {
            if same_turn && self.nobodys >= self.limits.event {
                judgement.breach = Some(None);
            }
            return;
        };
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
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LIMITS: CpuLimits = CpuLimits {
        event: Duration::from_millis(100),
        soft: Duration::from_millis(80),
        boot: Duration::from_millis(100),
    };

    /// A thread whose looks come every 5 ms.
    struct Thread {
        accounts: Accounts,
        at: Instant,
        cpu: Duration,
        answer: Option<Answer>,
    }

    impl Thread {
        fn new() -> Self {
            Self {
                accounts: Accounts::new(LIMITS, Duration::ZERO),
                at: Instant::now(),
                cpu: Duration::ZERO,
                answer: None,
            }
        }

        /// A look after 5 ms in which so much was used; whose code runs is answered before the next.
        fn look(&mut self, used: Duration, turn: u64, entered: Entered, runs: Option<Option<EventKey>>) -> Judgement {
            self.at += 5 * MS;
            self.cpu += used;
            let judgement = self.accounts.judge(Look {
                at: self.at,
                cpu: self.cpu,
                turn,
                entered,
                answer: self.answer.take(),
            });
            if judgement.ask || self.accounts.asked.is_some() {
                self.answer = runs.map(|event| Answer { turn, event });
            }
            judgement
        }
    }

    #[test]
    fn a_loop_is_over_at_its_limit_and_the_script_is_told_before() {
        let mut thread = Thread::new();
        let mut told = None;
        for look in 1u32.. {
            let judged = thread.look(5 * MS, 1, Entered::Event(7), Some(Some(7)));
            if let Some(soft) = judged.soft {
                assert!(told.replace(soft.used).is_none(), "told twice");
            }
            if let Some(blamed) = judged.breach {
                assert_eq!((blamed, told), (Some(7), Some(80 * MS)));
                assert_eq!(look, 21, "one look after the one that found the limit reached");
                break;
            }
            assert!(look < 30);
        }
    }

    #[test]
    fn short_turns_add_up_and_waiting_is_free() {
        let mut thread = Thread::new();
        let (mut used, mut told) = (Duration::ZERO, false);
        for turn in 0u64.. {
            // A millisecond of work in every five; one of two events does nine tenths of it.
            let who = if turn % 10 == 3 { 1 } else { 2 };
            used += MS;
            let judged = thread.look(MS, turn, Entered::Loop(2), Some(Some(who)));
            assert_eq!(judged.breach, None, "its turn is over when the answer is read");
            if let Some(soft) = judged.soft {
                assert_eq!(soft.event, 2);
                assert!((85..95).contains(&used.as_millis()), "{used:?}");
                told = true;
            }
            if let Some(over) = judged.over {
                assert_eq!((over, told), (2, true));
                assert!((105..120).contains(&used.as_millis()), "{used:?}");
                break;
            }
        }
    }

    #[test]
    fn one_who_has_just_come_does_not_pay_for_those_before() {
        let mut thread = Thread::new();
        thread.look(MS, 1, Entered::Loop(4), Some(Some(4)));
        // Much was used, by events that nobody saw running, and then a new one is seen.
        thread.accounts.unpaid = 500 * MS;
        thread.answer = None;
        thread.look(MS, 2, Entered::Event(5), Some(Some(5)));
        let judged = thread.look(MS, 2, Entered::Event(5), Some(Some(5)));
        assert_eq!((judged.breach, judged.soft), (None, None));
        assert!(thread.accounts.events[&5].cpu <= 15 * MS, "{:?}", thread.accounts);
    }

    #[test]
    fn native_code_that_never_answers_is_over_at_the_limit() {
        for (entered, blamed) in [(Entered::Event(3), Some(3)), (Entered::Loop(3), None)] {
            let mut thread = Thread::new();
            let looks = (1..).find(|_| thread.look(5 * MS, 1, entered, None).breach == Some(blamed));
            assert_eq!(looks, Some(21));
        }
    }

    #[test]
    fn a_long_turn_lets_others_go_first_and_short_ones_that_add_up_do_not() {
        let mut thread = Thread::new();
        let mut standing = |used, turn| thread.look(used, turn, Entered::Loop(1), None).standing;
        for turn in 1..10 {
            assert_eq!(standing(5 * MS, turn), Standing::Normal);
        }
        assert_eq!(standing(5 * MS, 10), Standing::Normal, "it may have begun just now");
        assert_eq!(standing(5 * MS, 10), Standing::Lowered);
        assert_eq!(standing(5 * MS, 11), Standing::Normal);
    }

    #[test]
    fn a_long_turn_that_is_held_up_gets_a_quarter_of_a_processor_all_the_same() {
        let mut thread = Thread::new();
        let mut look = |used| thread.look(used, 1, Entered::Boot, None).standing;
        let (mut got, mut before) = (Duration::ZERO, Standing::Normal);
        for _ in 0..1000 {
            // It gets nothing while anything else may go first, and half a processor where it is one of two.
            let used = match before {
                Standing::Normal => 5 * MS / 2,
                Standing::Lowered => Duration::ZERO,
            };
            got += used;
            before = look(used);
        }
        let share = got.as_secs_f64() / (1000 * 5 * MS).as_secs_f64();
        assert!((0.2..0.3).contains(&share), "{share}");
    }

    #[test]
    fn code_of_no_event_is_limited_a_turn() {
        let mut thread = Thread::new();
        for turn in 0..100 {
            for _ in 0..10 {
                assert_eq!(thread.look(5 * MS, turn, Entered::Loop(3), Some(None)).breach, None);
            }
        }
        let looks = (1..).find(|_| thread.look(5 * MS, 200, Entered::Loop(3), Some(None)).breach == Some(None));
        assert_eq!(looks, Some(21));
    }

    #[test]
    fn a_start_has_one_limit_for_all_its_turns() {
        let mut thread = Thread::new();
        let turns = (1..).find(|turn| thread.look(MS, *turn, Entered::Boot, None).breach == Some(None));
        assert_eq!(turns, Some(100));
    }

    #[test]
    fn accounts_are_bounded_and_the_largest_are_kept() {
        let mut thread = Thread::new();
        thread.accounts.events.entry(1).or_default().cpu = 50 * MS;
        for key in 2..5000 {
            thread.look(MS, u64::from(key), Entered::Event(key), Some(Some(key)));
        }
        assert!(thread.accounts.events.len() <= ACCOUNTS_MAX);
        assert_eq!(thread.accounts.events[&1].cpu, 50 * MS);
    }
}
